"""Which optimisers make a first map: each of them as the search of ``abinit``, from the same random start.

    python benchmarks/search_methods.py --output benchmarks/results/search_methods.json

Told are the resolution at which the map after the search correlates with the truth by 0.5, what the search cost, and
how close its course (log-likelihoods of the mini-batches) comes to that of any other method: two methods whose courses
agree are one.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cyclopts
import torch

from cryorbit.api.devices import limit_threads
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.io.mrc import read_map
from cryorbit.recipes.abinit import AbinitConfig
from cryorbit.recipes.abinit.config import SearchSettings
from cryorbit.recipes.abinit.prepare import AbinitDataset, prepare
from cryorbit.recipes.abinit.search_stage import begin, search_iteration
from cryorbit.volumes.voxel import resample
from simulated import ParticleSet, simulate_set
from tables import Row, save, show

METHODS = (
    *("momentum", "sgd", "nesterov", "adagrad", "tonga", "online-lbfgs", "hessian-free", "preconditioned-sgd"),
    *("sag", "svrg", "svrg-quasi-newton", "sem-vr", "sem-vr-statistics", "stochastic-em"),
)


@dataclass(frozen=True, slots=True)
class Course:
    """A search: its row, and the log-likelihood of every mini-batch."""

    row: Row
    likelihoods: list[float]


def main(
    *,
    methods: tuple[str, ...] = METHODS,
    iterations: int = 60,
    seed: int = 0,
    count: int = 2000,
    snr: float = 0.1,
    threads: int | None = None,
    output: Path | None = None,
) -> None:
    """Search with each of the methods at its defaults, over so many mini-batches at least."""
    limit_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        particles = simulate_set(Path(folder) / "set", count, snr)
        prepared = prepare(AbinitConfig(particles=particles.star, output=Path(folder)))
        courses = {
            method: search(particles, prepared, SearchSettings(iterations=iterations, method=method), seed)
            for method in methods
        }
    rows = [{**course.row, "nearest course": nearest(method, courses)} for method, course in courses.items()]
    note = f"{count} images of a ribosome, signal-to-noise ratio {snr}; {torch.get_num_threads()} threads"
    show("Methods of the search", rows, [note])
    save(output, "search_methods", {"count": count, "snr": snr, "threads": torch.get_num_threads(), "rows": rows})


def search(particles: ParticleSet, prepared: AbinitDataset, settings: SearchSettings, seed: int) -> Course:
    """One search from a random start, and how good its map is."""
    config = AbinitConfig(particles=particles.star, output=Path(), seed=seed, search=settings)
    state = begin(config, prepared, 0, ())
    likelihoods, evaluations, began = [], 0, time.process_time()
    while state.stage == "search":
        state, metrics = search_iteration(config, prepared, state)
        likelihoods.append(metrics["log_likelihood"])
        evaluations += metrics["evaluations"]
    cpu = time.process_time() - began
    truth, pixel_size = read_map(particles.truth_map)
    found = compare_maps(resample(state.volume[0], prepared.box), truth, pixel_size)
    row: Row = {
        "method": settings.method,
        "FSC 0.5, A": found.resolution(0.5),
        "FSC 0.143, A": found.resolution(0.143),
        "log-likelihood": likelihoods[-1],
        "passes": evaluations / len(prepared.order),
        "CPU s": cpu,
    }
    return Course(row, likelihoods)


def nearest(method: str, courses: dict[str, Course]) -> float:
    """Largest relative difference of log-likelihoods to the method whose course comes closest."""
    own = courses[method].likelihoods
    others = [course.likelihoods for name, course in courses.items() if name != method]
    return min(
        (max(abs(a - b) / max(abs(a), 1.0) for a, b in itertools.zip_longest(own, other, fillvalue=0.0)))
        for other in others
    )


if __name__ == "__main__":
    cyclopts.run(main)
