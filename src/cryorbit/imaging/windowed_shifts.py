"""Windowed circular shifts: the forward model of multireference alignment, with exact adjoint and normal map.

Shift ``l`` moves a periodic signal of n samples by +l, and a window keeps the first w of them: ``(R_l x)[i] = x[(i -
l) mod n]`` for ``0 <= i < w``. A complex signal is two real channels, its real and imaginary part.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.core.errors import InputError


@dataclass(frozen=True, slots=True)
class WindowedShifts:
    """All n shifts of a signal of n samples, seen through a window of w; made by ``of``.

    Attributes
    ----------
    samples
        Sample of the signal that each entry of the window sees, a row a shift.
    entries
        Entry of the shifted signal that each sample of the signal comes to, a row a shift.
    seen
        Whether that entry is within the window.
    """

    samples: Int[Tensor, "n w"]
    entries: Int[Tensor, "n n"]
    seen: Bool[Tensor, "n n"]

    @classmethod
    def of(cls, length: int, window: int, like: Tensor) -> WindowedShifts:
        """Shifts of ``length`` samples seen through ``window``, on the device of ``like``."""
        if not 1 <= window <= length:
            raise InputError(
                f"a window of {window} entries does not fit a signal of {length} samples",
                fix=f"choose one of 1 to {length}",
            )
        index = torch.arange(length, device=like.device)
        entries = (index + index[:, None]) % length
        return cls((index[:window] - index[:, None]) % length, entries, entries < window)

    @property
    def length(self) -> int:
        """Samples of the signal."""
        return len(self.samples)

    @property
    def window(self) -> int:
        """Entries of an observation."""
        return self.samples.shape[1]

    def project(self, signal: Float[Tensor, "c n"]) -> Float[Tensor, "n c w"]:
        """``R_l x`` for every shift l."""
        return signal[:, self.samples].movedim(1, 0)

    def backproject(self, windows: Float[Tensor, "n c w"]) -> Float[Tensor, "c n"]:
        """``sum_l R_l^T y_l``, the adjoint of ``project``."""
        padded = torch.nn.functional.pad(windows, (0, self.length - self.window))
        index = self.entries[:, None].expand_as(padded)
        return padded.gather(2, index).sum(0)

    def normal(self, weights: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Diagonal of ``sum_l weights_l R_l^T R_l``, which has no other entries: how often each sample is seen."""
        return weights @ self.seen.to(weights)
