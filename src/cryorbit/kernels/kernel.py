"""An operation and its implementations, and the choice between them: nobody else asks where a tensor is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

import torch
from torch import Tensor

from cryorbit.kernels.fused.device import fused_device

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Kernel(Generic[P, R]):
    """An operation.

    Attributes
    ----------
    reference
        In plain torch, for any device and precision.
    cpu
        The same, faster, for tensors in main memory.
    dtypes
        Precisions that ``cpu`` is for.
    fused
        The same in one launch, in single precision, for tensors where Triton compiles for; None where it gains nothing.
    """

    reference: Callable[P, R]
    cpu: Callable[P, R]
    dtypes: tuple[torch.dtype, ...]
    fused: Callable[P, R] | None = None

    def choose(self, tensor: Tensor) -> Callable[P, R]:
        """The implementation for arguments where ``tensor`` is, in its precision."""
        place, is_single = tensor.device.type, tensor.dtype in (torch.float32, torch.complex64)
        if place == "cpu":
            return self.cpu if tensor.dtype in self.dtypes else self.reference
        if self.fused is not None and is_single and place == fused_device():
            return self.fused
        return self.reference
