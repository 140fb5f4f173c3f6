"""An operation and its implementations, and the choice between them: nobody else asks where a tensor is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

import torch
from torch import Tensor

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
    """

    reference: Callable[P, R]
    cpu: Callable[P, R]
    dtypes: tuple[torch.dtype, ...]

    def choose(self, tensor: Tensor) -> Callable[P, R]:
        """The implementation for arguments where ``tensor`` is, in its precision."""
        return self.cpu if tensor.device.type == "cpu" and tensor.dtype in self.dtypes else self.reference
