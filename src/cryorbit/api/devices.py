"""Where a job runs: the one place that knows the names of devices."""

from __future__ import annotations

from cryorbit.core.errors import InputError


def choose_device(requested: str | None) -> str:
    """Return the name of the device to use; None and "auto" take a GPU if there is one.

    Raises
    ------
    InputError
        If the device does not exist.
    """
    import torch

    available = torch.cuda.is_available()
    if requested in (None, "auto"):
        return "cuda" if available else "cpu"
    try:
        device = torch.device(str(requested))
    except RuntimeError:
        raise InputError(f"unknown device {requested!r}", mend="use cpu, cuda, cuda:N or auto") from None
    if device.type == "cuda" and not 0 <= (device.index or 0) < torch.cuda.device_count():
        mend = "leave --device out to use what there is"
        raise InputError(f"there is no device {requested!r} ({torch.cuda.device_count()} GPUs)", mend=mend)
    return str(device)


def limit_threads(threads: int | None) -> None:
    """Let torch and numba use at most ``threads`` CPU threads; None leaves their choice."""
    if threads is None:
        return
    import numba
    import torch

    torch.set_num_threads(threads)
    numba.set_num_threads(min(threads, numba.get_num_threads()))
