"""Two metrics of the search on the same data: the gradient divided by W, or by its largest value.

    python benchmarks/step_rules.py --output benchmarks/results/step_rules.json

Everything else is the same: start, mini-batches, poses, momentum. Told are the resolution at which the map after the
search correlates with the truth by 0.5, and the CPU time of the search alone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cyclopts
import torch

from cryorbit.api.devices import limit_threads
from cryorbit.inference.grid_oracle import CURVATURES
from cryorbit.recipes.abinit import AbinitConfig
from cryorbit.recipes.abinit.config import SearchSettings
from cryorbit.recipes.abinit.prepare import AbinitDataset, prepare
from search_methods import search
from simulated import ParticleSet, simulate_set
from tables import Row, save, show


def main(
    *,
    iterations: tuple[int, ...] = (30, 60, 120, 240),
    seeds: int = 3,
    count: int = 2000,
    snr: float = 0.1,
    threads: int | None = None,
    output: Path | None = None,
) -> None:
    """Search from so many random starts in either metric, with so many mini-batches."""
    limit_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        particles = simulate_set(Path(folder) / "set", count, snr)
        prepared = prepare(AbinitConfig(particles=particles.star, output=Path(folder)))
        rows = [
            measure_search(particles, prepared, SearchSettings(iterations=number, metric=metric), seed)
            for number in iterations
            for metric in CURVATURES
            for seed in range(seeds)
        ]
    note = f"{count} images of a ribosome, signal-to-noise ratio {snr}; {torch.get_num_threads()} threads"
    show("Step rules", rows, [note])
    save(output, "step_rules", {"count": count, "snr": snr, "threads": torch.get_num_threads(), "rows": rows})


def measure_search(particles: ParticleSet, prepared: AbinitDataset, settings: SearchSettings, seed: int) -> Row:
    """One search from a random start, and how good its map is."""
    row = dict(search(particles, prepared, settings, seed).row)
    del row["method"], row["passes"]
    return {"metric": settings.metric, "mini-batches": settings.iterations, "seed": seed, **row}


if __name__ == "__main__":
    cyclopts.run(main)
