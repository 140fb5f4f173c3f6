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
from simulated import simulate_box

HELD_MIB = 430
"""Of a process when the memory is estimated: libraries, and the table of the particles."""


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
    particles = simulate_box(scratch / f"set_{box}", box, count, 0.1)
    job = scratch / f"job_{box}_{threads}"
    words = ("refine", particles.star, "--map", particles.truth_map, "-o", job)
    options = ("--threads", str(threads), "--device", "cpu")
    cost = run_measured([*CRYORBIT, *words, *options], job.with_suffix(".log"))
    return cost.cpu_s, cost.peak_MiB


if __name__ == "__main__":
    cyclopts.run(main)
