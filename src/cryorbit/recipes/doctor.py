"""Whether a machine can do the work: memory, disk, and a small reconstruction with a known answer."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import filelock
import numba
import numpy as np
import torch
from pydantic import Field

from cryorbit import __version__
from cryorbit.core.memory import GIB, free_bytes
from cryorbit.core.progress import SilentProgress
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.recipes import demo
from cryorbit.recipes.abinit.config import GrowSettings, SearchSettings
from cryorbit.recipes.settings import Settings

Level: TypeAlias = Literal["good", "doubtful", "bad"]
ENOUGH_MEMORY_GB, LEAST_MEMORY_GB = 4.0, 1.0
ENOUGH_DISK_GB, LEAST_DISK_GB = 5.0, 0.5
LEAST_CORRELATION = 0.9
"""With the true map; on a sound machine the small reconstruction reached 0.96."""
IMAGES, SNR = 400, 0.5
SEARCH = SearchSettings(iterations=60)
GROW = GrowSettings(iterations=3)


class DoctorConfig(Settings):
    """Settings of the examination of a machine."""

    folder: Path = Field(Path(), description="Folder in which you want to run jobs.")
    device: str = Field("cpu", description="Where the test reconstruction is computed.")
    quick: bool = Field(False, description="Whether to skip the test reconstruction.")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What.
    level
        ``bad`` when jobs will fail, ``doubtful`` when they may.
    finding
        What was found.
    advice
        What to do; empty when all is well.
    """

    name: str
    level: Level
    finding: str
    advice: str = ""


def run(config: DoctorConfig) -> Iterator[Check]:
    """Examine the machine; each finding is given as soon as it is known."""
    yield Check("cryorbit", "good", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield Check("libraries", "good", f"torch {torch.__version__}, numpy {np.__version__}, numba {numba.__version__}")
    yield threads()
    yield memory()
    yield disk(config.folder)
    yield write_access(config.folder)
    if not config.quick:
        yield reconstruction(config.device)


def threads() -> Check:
    """Cores against threads, and against what else runs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    used = torch.get_num_threads()
    finding = f"{used} used of {cores} cores"
    if used < cores // 2:
        return Check("threads", "doubtful", finding, "unset OMP_NUM_THREADS, or give --threads to use more")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 1.5 * cores:
        return Check(
            "threads", "doubtful", f"{finding}, load {load:.0f}", "other programs are running: jobs will be slow"
        )
    return Check("threads", "good", finding)


def memory() -> Check:
    """Free memory, as far as the batch system leaves it to this process."""
    free = free_bytes(torch.device("cpu")) / GIB
    finding = f"{free:.1f} GB free"
    if free < LEAST_MEMORY_GB:
        return Check("memory", "bad", finding, "close other programs, or ask the batch system for more")
    if free < ENOUGH_MEMORY_GB:
        return Check("memory", "doubtful", finding, "close other programs before work on large boxes")
    return Check("memory", "good", finding)


def disk(folder: Path) -> Check:
    """Space where jobs will lie."""
    try:
        free = shutil.disk_usage(folder).free / GIB
    except OSError as error:
        return Check("disk", "bad", f"{folder}: {error.strerror}", "give a folder that is there with --folder")
    finding = f"{free:.1f} GB free in {folder.absolute()}"
    if free < LEAST_DISK_GB:
        return Check("disk", "bad", finding, "make room: a job that cannot save its checkpoint ends")
    if free < ENOUGH_DISK_GB:
        return Check("disk", "doubtful", finding, "enough for small boxes; make room for larger ones")
    return Check("disk", "good", finding)


def write_access(folder: Path) -> Check:
    """Whether files can be made, locked and renamed, as jobs do."""
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".cryorbit-") as name:
            place = Path(name)
            with filelock.FileLock(place / "lock", timeout=5):
                (place / "a").write_bytes(b"0" * 2**20)
                (place / "a").rename(place / "b")
    except (OSError, filelock.Timeout) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Check("write access", "bad", f"{folder.absolute()}: {reason}", "give a folder you may write to with -o")
    seconds = time.perf_counter() - began
    if seconds > 2:
        return Check("write access", "doubtful", f"yes, in {seconds:.0f} s", "the disk is slow: write to a local one")
    return Check("write access", "good", "files can be made, locked and renamed")


def reconstruction(device: str) -> Check:
    """The demo in small: the packaged map, images of it, a map from those, held against the first."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="cryorbit-") as name:
        folder = Path(name) / "job"
        config = demo.DemoConfig(output=folder, count=IMAGES, snr=SNR, seeds=1, device=device, search=SEARCH, grow=GROW)
        job = JobFolder.create(folder, verb="demo", config=config.model_dump(mode="json"))
        with running(job):
            truth = demo.run(config, job, SilentProgress()).against_truth
    comparison = truth.comparison
    assert comparison is not None
    finding = (
        f"{IMAGES} images on {device} in {time.perf_counter() - began:.0f} s: correlation {comparison.cc:.3f} with the "
        f"true map, resolution {comparison.resolution(0.5):.1f} Å"
    )
    if not comparison.cc >= LEAST_CORRELATION:
        advice = f"{LEAST_CORRELATION} was expected: this machine computes wrongly. Try --device cpu, and report it"
        return Check("reconstruction", "bad", finding, advice)
    return Check("reconstruction", "good", finding)
