"""Where the implementations of an operation can be tried on this machine."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from typing import Any

import pytest
import torch

from cryorbit.kernels.kernel import Kernel

HAS_GPU = torch.cuda.is_available()
FUSED = pytest.param(
    "fused",
    marks=[
        pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed"),
        *([pytest.mark.gpu] if HAS_GPU else []),
    ],
)
"""A Triton kernel: on the GPU where there is one, or else by Triton's interpreter (`conftest`)."""
KERNELS = ["cpu", FUSED]
IMPLEMENTATIONS = ["reference", *KERNELS]


def implementation(row: Kernel, name: str) -> Callable[..., Any]:
    """One of a row's implementations, which takes tensors in main memory, and writes to them, wherever it works."""
    function = getattr(row, name)
    return on_gpu(function) if name == "fused" and HAS_GPU else function


def on_gpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function on copies of its arguments on the GPU: results and what was written in place come back."""

    def call(*arguments: Any) -> Any:
        there = moved(arguments, "cuda")
        result = function(*there)
        write_back(there, arguments)
        return moved(result, "cpu")

    return call


def moved(value: Any, device: str) -> Any:
    """Tensors, alone, in tuples and in dataclasses, on a device."""
    if isinstance(value, tuple):
        return tuple(moved(each, device) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(*(moved(getattr(value, field.name), device) for field in fields(value)))
    return value.to(device) if isinstance(value, torch.Tensor) else value


def write_back(source: Any, target: Any) -> None:
    """Give the tensors of ``target`` the values of those of ``source``."""
    if isinstance(target, tuple):
        for each, other in zip(source, target, strict=True):
            write_back(each, other)
    elif isinstance(target, torch.Tensor):
        target.copy_(source)
