"""One pass of moments over very many small images: speed against bare matrix products and reading, and memory.

    python benchmarks/moments_throughput.py --output benchmarks/results/moments_throughput.json

Images are made batch by batch, which is not timed, so that no disk and no memory holds them all. The pass reads every
image once and multiplies it with the waves on the rings; the products of three waves follow. Its bounds are the
same products done by bare matrix products of the same sizes, and reading the same bytes.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cyclopts
import torch
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.moments.ring_moments import order_pairs
from cryorbit.moments.ring_sums import RingSums
from cryorbit.moments.rings import Rings
from tables import Row, save, show

BATCH = 1024
REPEATS = 5


def main(*, count: int = 1_000_000, box: int = 32, rings: int = 6, orders: int = 6, output: Path | None = None) -> None:
    """Stream ``count`` images of noise through the pass on one thread."""
    torch.set_num_threads(1)
    radii = (torch.arange(rings).double() + 0.5) * (0.2 * box / rings)
    design = Rings.of(box, radii, orders, 0.5 * box - 1)
    sums = RingSums.none(orders, rings, radii.device)
    peak_before, wall, cpu = _peak_mib(), 0.0, 0.0
    done = 0
    while done < count:
        images, transfer = _batch(min(BATCH, count - done), box, rings, done)
        began, began_cpu = time.perf_counter(), time.process_time()
        sums = sums + RingSums.of(design.analyse(images), transfer)
        wall, cpu, done = wall + time.perf_counter() - began, cpu + time.process_time() - began_cpu, done + len(images)
    row = {
        "images": count,
        "CPU us an image": 1e6 * cpu / count,
        "images / CPU s": count / cpu,
        "MB / CPU s": 4e-6 * count * box**2 / cpu,
        "wall s": wall,
        "bare products, CPU us an image": 1e6 * _cpu_of_products(box, rings, orders) / BATCH,
        "bare reading, CPU us an image": 1e6 * _cpu_of_reading(box) / BATCH,
        "peak MiB": _peak_mib(),
        "of which before the pass": peak_before,
    }
    show("Moments of images, one pass", [row], [f"{box} px, {rings} rings, orders to {orders}, one thread"])
    settings: Row = {"box": box, "rings": rings, "orders": orders}
    save(output, "moments_throughput", {**settings, "rows": [row]})


def _batch(size: int, box: int, rings: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = generator_for(seed, "moments throughput")
    return torch.randn(size, box, box, generator=generator), torch.rand(size, rings, generator=generator)


def _cpu_of_products(box: int, rings: int, orders: int) -> float:
    """CPU seconds of the matrix products that a batch cannot do without."""
    waves, pairs = 2 * (orders + 1) * rings, len(order_pairs(orders))
    images, matrix = torch.randn(BATCH, box**2), torch.randn(box**2, waves)
    both = torch.randn(pairs, rings**2, BATCH, dtype=torch.complex64)
    third = torch.randn(pairs, BATCH, rings, dtype=torch.complex64)
    # the squared magnitudes, for the errors, are real
    return _cpu(lambda: (images @ matrix, both @ third, both.real @ third.real))


def _cpu_of_reading(box: int) -> float:
    """CPU seconds of reading the pixels of a batch that is not in a cache."""
    images = torch.randn(16 * BATCH, box, box)
    return _cpu(lambda: images.sum()) / 16


def _cpu(work: Callable[[], object]) -> float:
    """Least CPU seconds of some repeats."""
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def _peak_mib() -> float:
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    cyclopts.run(main)
