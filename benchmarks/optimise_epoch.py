"""How long an epoch of stochastic optimisation takes with every pose summed over, against the paper's hour.

    python benchmarks/optimise_epoch.py --output benchmarks/results/optimise_epoch.json

Punjani & Brubaker (2014) needed about an hour an epoch of 50,000 images at 16 % of Nyquist of 128 pixels, about 95,000
quadrature points, on 32 threads. Measured are gradients of a few mini-batches on the full quadrature, none of its nodes
left out, for a flat posterior (the random start) and for sharp ones (the true density); an epoch is the number of
mini-batches in it times their mean. CPU seconds are those of all threads together.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import cyclopts
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.api.devices import limit_threads
from cryorbit.core.seeds import generator_for
from cryorbit.fourier.half_disc import half_disc
from cryorbit.inference.pose_quadrature import ShiftPrior, pose_quadrature
from cryorbit.inference.volume_oracle import VolumeOracle
from cryorbit.recipes.optimise.problem import OptimiseProblem, make_problem, scale_to_images
from cryorbit.studies.punjani2014.data import BOX, DATA_SETS, simulate
from cryorbit.volumes.voxel import resample
from tables import Row, save, show

EPOCH = 50_000
PAPER_MINUTES, PAPER_THREADS = 60.0, 32
EVENLY_STRONG = 2.0**0.5
"""A random start has half the power of the signal; the truth has all of it."""


def main(
    *,
    batches: int = 5,
    batch: int = 100,
    shifts: tuple[float, ...] = (0.0, 1.5),
    undersampling: float = 1.0,
    threads: int | None = None,
    output: Path | None = None,
) -> None:
    """Measure some mini-batches for each standard deviation of shifts, pixels, and extrapolate to an epoch."""
    limit_threads(threads)
    rows = [row for sigma in shifts for row in measure(ShiftPrior(sigma), (batches, batch), undersampling)]
    machine = [f"{torch.get_num_threads()} threads; {batches} mini-batches of {batch} images after one that warms up"]
    show("An epoch of 50,000 gradients", rows, machine)
    record = {"threads": torch.get_num_threads(), "batch": batch, "batches": batches, "epochs": rows}
    save(output, "optimise_epoch", record)


def measure(shift: ShiftPrior, sizes: tuple[int, int], undersampling: float) -> list[Row]:
    """Rows of one quadrature: flat and sharp posteriors."""
    batches, batch = sizes
    data = replace(DATA_SETS[1], shift=shift)
    observations, disc = simulate(data, (batches + 1) * batch + 2, generator_for(0, "optimise epoch"))
    quadrature = pose_quadrature(data.radius, BOX, shift, undersampling)
    problem = make_problem(observations, disc, quadrature, data.prior, 2, 0)
    unknowns = {"flat": problem.start, "sharp": _truth(problem, data.truth())}
    return [{"posterior": name, **_timed(problem.oracle, x, sizes)} for name, x in unknowns.items()]


def _timed(oracle: VolumeOracle, x: Float[Tensor, "1 n n n"], sizes: tuple[int, int]) -> Row:
    batches, batch = sizes
    indices = torch.arange((batches + 1) * batch).view(-1, batch)
    oracle.evaluate(x, indices[0])
    began, cpu_began = time.perf_counter(), time.process_time()
    for idx in indices[1:]:
        oracle.evaluate(x, idx)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    minutes, cpu_minutes = (spent / (batches * batch) * EPOCH / 60 for spent in (wall, cpu))
    return {
        "shifts": len(oracle.model.quadrature.shifts),
        "nodes": oracle.model.quadrature.count,
        "GFLOP a batch": batch * _flops(oracle) / 1e9,
        "wall s a batch": wall / batches,
        "CPU s a batch": cpu / batches,
        "wall min an epoch": minutes,
        "CPU min an epoch": cpu_minutes,
        "paper's thread min over CPU min": PAPER_MINUTES * PAPER_THREADS / cpu_minutes,
    }


def _flops(oracle: VolumeOracle) -> float:
    """Operations of the matrix products an image takes: scores and D for every shift, powers and W once."""
    coefficients, rotations = (
        len(half_disc(BOX, oracle.model.operator.disc.radius)),
        len(oracle.model.quadrature.rotations),
    )
    return coefficients * rotations * (8 * len(oracle.model.quadrature.shifts) + 4)


def _truth(problem: OptimiseProblem, density: Float[Tensor, "n n n"]) -> Float[Tensor, "1 n n n"]:
    """The true density at the strength of the images."""
    fitted = resample(density, problem.oracle.model.operator.grid.size)
    return problem.oracle.model.unknown(fitted * scale_to_images(problem.oracle, fitted) * EVENLY_STRONG)


if __name__ == "__main__":
    cyclopts.run(main)
