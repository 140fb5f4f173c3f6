"""Where these kernels run: on the kind of device that Triton compiles for here, if there is one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from subprocess import SubprocessError
from typing import Any


@cache
def fused_device() -> str | None:
    """The kind of device that Triton compiles for on this machine, as torch calls it.

    None where Triton is missing, or has no driver to run on, or no C compiler to make its launchers with.
    """
    if find_spec("triton") is None:
        return None
    from triton.runtime import driver

    try:
        return str(driver.active.get_active_torch_device().type)
    except (AssertionError, RuntimeError, ImportError, OSError, SubprocessError):
        return None


def imported_late(module: str, name: str) -> Callable[..., Any]:
    """A function of this package, imported when it is first called: Triton may be missing."""

    def call(*arguments: object) -> Any:
        return getattr(import_module(f"{__package__}.{module}"), name)(*arguments)

    return call
