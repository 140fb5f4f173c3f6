"""Peak memory of ``cryorbit refine`` against the box and the threads, and what was estimated before the work began.

    python benchmarks/memory.py --boxes 128 --boxes 256 --threads 1 --threads 2 --threads 16
    python benchmarks/memory.py --boxes 512 --count 100

Whole jobs with their own settings: mini-batches, passes, and the last, which inserts all images to Nyquist. A set of
3,000 images of 256 px takes 0.8 GB of disk (``--folder``), a refinement in a box of 512 px 17 GB of memory.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cyclopts

# ruff: isort: split
from measure import CRYORBIT, run_measured

HELD_MIB = 430
"""Of a process when the memory is estimated: libraries, and the table of the particles."""

RESAMPLE = """
import sys
from pathlib import Path
import cryorbit
from cryorbit.io.mrc import read_map, write_map
from cryorbit.volumes.voxel import resample
volume, pixel_size = read_map(Path(cryorbit.__file__).parent / "data" / "ribosome_70S.mrc")
box = int(sys.argv[1])
write_map(Path(sys.argv[2]), resample(volume, box), pixel_size * len(volume) / box)
"""
"""A program that brings the packaged map to another box: this process shall not grow by it."""


def main(
    *,
    boxes: tuple[int, ...] = (128, 256),
    count: int = 3000,
    threads: tuple[int, ...] = (1,),
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Simulate a set for each box and refine it with each number of threads."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        measured = [(box, number, *refined(Path(scratch), box, count, number)) for box in boxes for number in threads]
    # heavy libraries only now: the memory of this process would count towards that of what it starts
    from cryorbit.recipes.refine.config import PoseSearchSettings
    from cryorbit.recipes.volume_memory import VolumeLoad
    from tables import Row, save, show

    rows: list[Row] = []
    for box, number, cpu, peak in measured:
        load = VolumeLoad(box, box / 2 - 1, searched=True, cells=PoseSearchSettings().cells * count // 2)
        estimate = HELD_MIB + sum(load.needs().values()) / 2**20
        rows.append(
            {
                "box, px": box,
                "images": count,
                "threads": number,
                "CPU s": cpu,
                "peak MiB": peak,
                "estimate MiB": estimate,
                "estimate / peak": estimate / peak,
            }
        )
    show("Memory of refine", rows, ["images of a ribosome, signal-to-noise ratio 0.1"])
    save(output, "memory", {"count": count, "rows": rows})


def refined(scratch: Path, box: int, count: int, threads: int) -> tuple[float, float]:
    """CPU seconds and peak memory, MiB, of a refinement of simulated images."""
    particles = scratch / f"set_{box}"
    start = scratch / f"map_{box}.mrc"
    if not particles.exists():
        run_measured([*CRYORBIT[:2], RESAMPLE, str(box), start], scratch / f"map_{box}.log")
        words = ("simulate", start, "-o", particles, "-n", str(count), "--snr", "0.1", "--seed", "1")
        run_measured([*CRYORBIT, *words], particles.with_suffix(".log"))
    job = scratch / f"job_{box}_{threads}"
    words = ("refine", particles / "particles.star", "--map", particles / "truth_1.mrc", "-o", job)
    options = ("--threads", str(threads), "--device", "cpu")
    cost = run_measured([*CRYORBIT, *words, *options], job.with_suffix(".log"))
    return cost.cpu_s, cost.peak_MiB


if __name__ == "__main__":
    cyclopts.run(main)
