"""Cost of ``cryorbit abinit`` against the number of particles: time should be linear, memory constant.

    python benchmarks/scaling.py --output benchmarks/results/scaling.json

Search and growth look at a bounded number of images; the passes over all of them at the end are what grows. Images are
64 pixels wide; 50,000 of them take 0.8 GB of disk (``--folder``).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cyclopts

from jobs import agreement, measured_abinit, told_cost
from simulated import simulate_set
from tables import Row, save, show


def main(
    *,
    counts: tuple[int, ...] = (1_000, 10_000, 50_000),
    snr: float = 0.05,
    threads: int = 2,
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Simulate sets of these sizes and reconstruct each of them."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        rows = [measure_size(Path(scratch), count, snr, threads) for count in counts]
    show("Scaling", rows, [f"images of a ribosome, 64 px, signal-to-noise ratio {snr}; {threads} threads"])
    save(output, "scaling", {"snr": snr, "threads": threads, "rows": rows})


def measure_size(scratch: Path, count: int, snr: float, threads: int) -> Row:
    """Cost and result of one reconstruction."""
    particles = simulate_set(scratch / f"set_{count}", count, snr)
    job = measured_abinit(particles.star, scratch / f"job_{count}", ("--threads", str(threads)))
    return {
        "particles": count,
        **told_cost(job.cost),
        "CPU ms a particle": 1000 * job.cost.cpu_s / count,
        **{f"{stage} s": job.stages.get(stage, 0.0) for stage in ("search", "grow", "finish")},
        **agreement(job.map, particles.truth_map, scratch),
    }


if __name__ == "__main__":
    cyclopts.run(main)
