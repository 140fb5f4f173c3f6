"""Where a job runs: the one place that knows the names of devices."""

from __future__ import annotations

from cryorbit.core.errors import InputError
from cryorbit.core.place import available_cores, place_of_process

UNUSED = {
    "mps": "Apple's GPU has no double precision, in which CTFs and correlations are computed",
    "xpu": "Intel's GPU has never been tried",
}
"""Devices that torch knows, and why jobs do not run there."""


def choose_device(requested: str | None) -> str:
    """Return the name of the device to use; None and "auto" take a GPU if there is one.

    Jobs run on ``cpu`` and on GPUs that torch calls ``cuda``: NVIDIA's, and AMD's with the ROCm build.

    Raises
    ------
    InputError
        If the device does not exist, or is of a kind that jobs do not run on.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if requested in (None, "auto"):
        return _own_gpu(count) if count else "cpu"
    here = ", ".join(["cpu", *(f"cuda:{number}" for number in range(count))])
    kind, colon, number = str(requested).partition(":")
    if kind in UNUSED:
        raise InputError(
            f"jobs do not run on {requested!r}: {UNUSED[kind]}",
            fix=f"give --device cpu, or leave it out (here: {here})",
        )
    if str(requested) != "cpu" and (kind != "cuda" or (colon and not number.isdecimal())):
        fix = f"use cpu, cuda (a GPU of NVIDIA, or of AMD with ROCm), cuda:N or auto (here: {here})"
        raise InputError(f"unknown device {requested!r}", fix=fix)
    if kind == "cuda" and int(number or 0) >= count:
        fix = f"leave --device out to use what there is ({here}); `cryorbit doctor` says what torch can use"
        raise InputError(f"there is no device {requested!r} here", fix=fix)
    return _own_gpu(count) if requested == "cuda" else str(requested)


def _own_gpu(count: int) -> str:
    """The GPU of this process: those that share a job take one after the other."""
    place = place_of_process()
    return "cuda" if place.local_size == 1 else f"cuda:{place.local_rank % count}"


def launch_on(device: str | None) -> None:
    """Make a GPU the one that kernels are launched on: Triton asks for no other, wherever the tensors are."""
    if device is not None and device.startswith("cuda:"):
        import torch

        torch.cuda.set_device(device)


def limit_threads(threads: int | None) -> None:
    """Let torch and numba use at most ``threads`` CPU threads, and no more than there are cores; None: their choice.

    Threads that share a core wait for each other by spinning: sixteen on two cores took three times the CPU time.
    """
    if threads is None and place_of_process().local_size == 1:
        return
    import numba
    import torch

    threads = min(threads or available_cores(), available_cores())
    # numba first: when its OpenMP starts, it sets the number of threads that torch uses as well
    numba.set_num_threads(min(threads, numba.get_num_threads()))
    torch.set_num_threads(threads)
