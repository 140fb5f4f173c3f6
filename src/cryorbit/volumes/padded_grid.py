"""What the Fourier grids of volumes and of planes have in common: a working box, padded before it is transformed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

PAD = 2
"""Padded side over that of the working box: RELION's, with the same trilinear interpolation and correction for it."""


@dataclass(frozen=True, slots=True)
class PaddedGrid:
    """Geometry of a working box.

    Attributes
    ----------
    box
        Side of the full box, pixels.
    size
        Side of the working box, pixels; even, at most ``box``.
    """

    box: int
    size: int

    @property
    def padded(self) -> int:
        """Side of the padded Fourier grid."""
        return PAD * self.size

    def axes(self, like: Tensor) -> tuple[Float[Tensor, " q"], Float[Tensor, " h"]]:
        """Frequencies along a whole axis of the padded half grid and along the halved one, pixels of the full box."""
        full = torch.fft.fftfreq(self.padded, 1 / self.padded, device=like.device) / PAD
        return full, torch.arange(self.padded // 2 + 1, device=like.device) / PAD

    def kernel(self, like: Tensor) -> Float[Tensor, " m"]:
        """Transform of the linear kernel along an axis of the working box, ``sinc^2``, float64."""
        offset = torch.arange(self.size, device=like.device, dtype=torch.float64) - self.size // 2
        return torch.sinc(offset / self.padded) ** 2
