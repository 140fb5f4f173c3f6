"""Memory: how much there is, how much a job may take, and the refusal of what cannot fit.

The rule is the same everywhere. Work on images goes in batches whose temporaries fit `BATCH_BYTES`, or on a GPU a part
of its memory (`batch_bytes`); what grows with the box, the resolution and the number of maps is added up before the
work begins and held against what is allowed.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from cryorbit.core.errors import InputError
from cryorbit.core.place import place_of_process

GIB = 2**30
BATCH_BYTES = 2**27
"""Temporaries of a batch of images."""
SHARE_OF_CARD = 1 / 8
"""Part of the memory of a GPU for these; volumes have the most of it."""
MORE_ON_CARD = 16
"""Images of a batch on a GPU for one on the CPU, where caches are small and a batch costs nothing to begin."""
BLOCK_BYTES_A_THREAD = 2**23
LARGEST_BLOCK_BYTES = 2**25
SHARE_OF_FREE = 0.7
"""Part of the free memory that a job takes when it is not told how much it may."""
MEMINFO = Path("/proc/meminfo")
CGROUPS = Path("/sys/fs/cgroup")
CGROUP_OF_PROCESS = Path("/proc/self/cgroup")
_UNITS = {"k": 2.0**-20, "m": 2.0**-10, "g": 1.0, "": 1.0, "t": 2.0**10}
_ACCOUNTS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def gigabytes(stated: float | str) -> float:
    """GB of 2^30 bytes from a number of them, or from text with a unit: ``2``, ``2GB``, ``800 MB``, ``1.5GiB``, ``2g``.

    Raises
    ------
    InputError
        It is not an amount of memory, or not more than none.
    """
    parts = re.fullmatch(r"([-+.\de]+?)\s*([kmgt]?)(i?b)?", str(stated).strip().lower())
    fix = "give GB, for example 8, or an amount with its unit: 8GB, 800MB"
    try:
        amount = float(parts[1]) * _UNITS[parts[2]] if parts else math.nan
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount):
        raise InputError(f"{stated!r} is not an amount of memory", fix=fix)
    if amount <= 0:
        raise InputError(f"{stated!r} of memory is not enough for anything", fix=fix)
    return amount


def room(asked_gb: float | None, device: torch.device) -> int:
    """Bytes that a job may still take on ``device``.

    Parameters
    ----------
    asked_gb
        What the whole process may take, GB of 2^30 bytes, or all processes of the job on a machine together; None for
        `SHARE_OF_FREE` of what is free.
    device
        Where the large arrays will be.
    """
    here = place_of_process().local_size if device.type == "cpu" else 1
    if asked_gb is None:
        return int(SHARE_OF_FREE * free_bytes(device) / here)
    taken = resident_bytes() if device.type == "cpu" else 0
    return int(asked_gb * GIB / here) - taken


def main_memory_beside(needed: int, asked_gb: float | None, device: torch.device) -> int:
    """Bytes of main memory that are left to a job which needs so many on ``device``; ``asked_gb`` as for `room`."""
    if device.type == "cpu":
        return max(0, room(asked_gb, device) - needed)
    return room(None, torch.device("cpu"))


def require(needs: Mapping[str, int], allowed: int, fix: str) -> None:
    """Raise `InputError` unless the needs, bytes by name, fit the bytes that are allowed."""
    needed = sum(needs.values())
    if needed <= allowed:
        return
    parts = ", ".join(f"{name} {_gb(size)}" for name, size in needs.items())
    raise InputError(f"the job needs {_gb(needed)} of memory ({parts}), {_gb(max(allowed, 0))} is left to it", fix=fix)


def batch_bytes(device: torch.device, on_cpu: int = BATCH_BYTES) -> int:
    """Bytes for the temporaries of a batch: what suits the caches of a CPU, or a part of the memory of a GPU.

    The part is as much of `SHARE_OF_CARD` as ``on_cpu`` is of `BATCH_BYTES`, at most the whole of it: what is smaller
    on the CPU has temporaries of its own. A batch that does not fit is halved (``execution.shards``).
    """
    if device.type == "cpu":
        return on_cpu
    return max(on_cpu, int(min(1.0, on_cpu / BATCH_BYTES) * SHARE_OF_CARD * _free_at_first(device)))


def batch_images(device: torch.device, on_cpu: int) -> int:
    """Images of a batch at most, where so many suit a CPU: a GPU is busy with many at once."""
    return on_cpu if device.type == "cpu" else MORE_ON_CARD * on_cpu


def block_bytes(device: torch.device) -> int:
    """Size of an array that is written in one go and read at once: on the CPU, as much as is quick to reach.

    A core keeps the addresses of some 2,000 pages at hand, 8 MiB: a larger block is read at half the pace. Arrays
    beyond 32 MiB the allocator of C maps, and the system clears their pages, every time anew.
    """
    return batch_bytes(device, min(BLOCK_BYTES_A_THREAD * torch.get_num_threads(), LARGEST_BLOCK_BYTES))


def free_bytes(device: torch.device) -> int:
    """Memory that is free on ``device``; on the CPU, what the system and the control group leave."""
    query = getattr(getattr(torch, device.type, None), "mem_get_info", None)
    if query is not None:
        return int(query(device)[0])
    return min(_system_free(), *_control_group_free())


@functools.cache
def _free_at_first(device: torch.device) -> int:
    """The memory that was free when it was first asked for: sizes of batches do not change during a job."""
    return free_bytes(device)


def resident_bytes() -> int:
    """Memory that this process holds now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def give_back_free() -> None:
    """Return to the system what the allocator of C keeps of freed memory, hundreds of MB after batches of images.

    It stays with the process otherwise, beside the volumes that come next. Nothing happens where the C library has
    no ``malloc_trim`` (it is that of Linux).
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _system_free() -> int:
    """Memory of the machine that can be had without swapping."""
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        # systems without /proc tell their whole memory only; half of it is taken to be free
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _control_group_free() -> list[int]:
    """What the control groups of this process (batch systems, containers) leave; a huge number without limits."""
    free = [2**62]
    for folder in _control_groups():
        for limit, usage, cache in _ACCOUNTS:
            try:
                taken = int((folder / usage).read_text())
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                # pages of files that were read count as taken, but give way
                free.append(int((folder / limit).read_text()) - taken + int(stat[cache]))
            except (OSError, ValueError, KeyError):
                # the file of the other version, or a limit of "max"
                continue
    return free


def _control_groups() -> Iterator[Path]:
    """Folders of the groups that account for this process's memory, from its own up to the root."""
    try:
        lines = CGROUP_OF_PROCESS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = CGROUPS / "memory" if controllers else CGROUPS
        group = root / name.lstrip("/")
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(root))


def _gb(size: int) -> str:
    return f"{size / GIB:.1f} GB"
