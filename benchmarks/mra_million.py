"""A million observations of multireference alignment: the time of a pass against that of its matrix products.

    python benchmarks/mra_million.py --output benchmarks/results/mra_million.json

The bound is what the two products of an E-step take alone, on the same chunks: scores, observations times shifted
signals, and sums, responsibilities times observations; ``2 x 2 N P T`` operations. Then the signal is solved for from a
random start, by stochastic EM with reduced variance, to tell how many passes so many observations need.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cyclopts
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.api.devices import limit_threads
from cryorbit.core.chunks import chunks
from cryorbit.evaluation.mra import signal_error
from cryorbit.inference.mra import CHUNK, MRAOracle, start_unknown
from cryorbit.optim.minimise import Stop, minimise
from cryorbit.optim.sem_vr_statistics import SEMVRStatistics
from cryorbit.simulate.mra import draw_observations, gaussian_pulse, mixture_density
from tables import Row, save, show


def main(
    *,
    count: int = 1_000_000,
    length: int = 64,
    window: int = 48,
    sigma: float = 0.2,
    repeats: int = 3,
    threads: int | None = None,
    output: Path | None = None,
) -> None:
    """Measure a pass over so many observations, and a solution from a random start."""
    limit_threads(threads)
    generator = torch.Generator().manual_seed(0)
    signal = gaussian_pulse(length, length / 8).float()
    density = mixture_density(length, (length / 4, 11 * length / 16), length / 8).float()
    observed = draw_observations(signal, density, window, sigma, count, generator)
    oracle = MRAOracle.of(observed.data, length, sigma)
    start = torch.randn(1, length, generator=generator)
    x = start_unknown(start / start.norm())
    rate = measure_pass(oracle, x, repeats)
    course = solve(oracle, x, signal)
    notes = [f"{torch.get_num_threads()} threads; float32; chunks of {CHUNK:,}; medians of {repeats}"]
    show(f"A pass over {count:,} observations of {window} samples, {length} shifts", [rate], notes)
    show("From a random start, stochastic EM with reduced variance", course)
    save(output, "mra_million", {"threads": torch.get_num_threads(), "pass": rate, "course": course})


def measure_pass(oracle: MRAOracle, x: Float[Tensor, "d t"], repeats: int) -> Row:
    """Seconds of an E-step on all observations, and of its products alone."""
    pass_s = _median_seconds(lambda: oracle.expect(x, None), repeats)
    product_s = _median_seconds(lambda: bare_products(oracle.observations, oracle.shifts.length), repeats)
    gflop = 4e-9 * oracle.observations.numel() * oracle.shifts.length
    return {
        "N": oracle.num_terms,
        "GFLOP": gflop,
        "pass s": pass_s,
        "products s": product_s,
        "GFLOP/s": gflop / pass_s,
        "bare GFLOP/s": gflop / product_s,
        "part of bare": product_s / pass_s,
    }


def bare_products(data: Float[Tensor, "n p"], shifts: int) -> None:
    """The two products of an E-step on chunks of the data, with nothing between them."""
    templates = torch.randn(shifts, data.shape[1])
    sums = torch.zeros_like(templates)
    for part in chunks(len(data), CHUNK):
        sums.addmm_((data[part] @ templates.mT).mT, data[part])


def solve(oracle: MRAOracle, x: Float[Tensor, "d t"], signal: Float[Tensor, "c t"]) -> list[Row]:
    """Passes, seconds, objective and error of the signal, epoch by epoch, until an epoch gains less than 1e-5 nats."""
    method = SEMVRStatistics(batch_size=oracle.num_terms // 100)
    trace = minimise(oracle, method, x, Stop(1e-5, 60), torch.Generator().manual_seed(0), keep_snapshots=True)
    columns = (trace.passes.tolist(), trace.seconds.tolist(), trace.values.tolist(), trace.snapshots)
    return [
        {"passes": passes, "s": seconds, "objective": f"{value:.6f}", "error": signal_error(point[:-1], signal)}
        for passes, seconds, value, point in zip(*columns, strict=True)
    ]


def _median_seconds(action: Callable[[], object], repeats: int) -> float:
    action()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


if __name__ == "__main__":
    cyclopts.run(main)
