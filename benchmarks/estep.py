"""How fast the E-step is: its arithmetic rate beside that of bare matrix products, and where a search's time goes.

    python benchmarks/estep.py --output benchmarks/results/estep.json

The rate of the E-step counts the score products alone, ``2 (B T) (2 P) G`` operations, over the time of everything the
E-step does (scores, listing, posteriors, statistics); the bare rate is that of the same products, block by block.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cyclopts
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.api.devices import limit_threads
from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.core.memory import block_bytes
from cryorbit.core.seeds import generator_for
from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.rotations import random_rotations
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_grid import paired_grid
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference import grid_oracle, marginal
from cryorbit.inference.marginal import BUDGET_BYTES, pose_posterior, slice_statistics
from cryorbit.inference.pose_grid import grid_slices
from cryorbit.io.mrc import read_map
from cryorbit.recipes.abinit import AbinitConfig
from cryorbit.recipes.abinit.config import SearchSettings
from cryorbit.recipes.abinit.prepare import AbinitDataset, prepare
from cryorbit.recipes.abinit.search_stage import begin, search_iteration, shift_step
from cryorbit.volumes.voxel import VoxelGrid, VoxelModel, resample, working_grid
from simulated import ParticleSet, simulate_set
from stopwatch import watching
from tables import Row, save, show

SHIFT_RANGE = 0.1
STAGES = {
    "read, FFT, CTF": [(ParticleSource, "observe")],
    "synthesize": [(VoxelGrid, "model")],
    "gather": [(VoxelModel, "slices")],
    "score": [(grid_oracle, "pose_posterior")],
    "listing": [(marginal, "significant_entries")],
    "statistics": [(grid_oracle, "slice_statistics")],
    "insert": [(VoxelGrid, "insert")],
    "solve": [(grid_oracle, "join_mates"), (grid_oracle, "solve")],
}


def main(
    *,
    radii: tuple[float, ...] = (10.0, 16.0),
    orders: tuple[int, ...] = (2, 3),
    batch: int = 90,
    repeats: int = 3,
    iterations: int = 60,
    threads: int | None = None,
    output: Path | None = None,
) -> None:
    """Measure the E-step at Fourier radii and grid orders, and the stages of a search of so many iterations."""
    limit_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        particles = simulate_set(Path(folder) / "set", max(batch, 500), snr=0.1)
        config = AbinitConfig(
            particles=particles.star, output=Path(folder), search=SearchSettings(iterations=iterations)
        )
        prepared = prepare(config)
        volumes = {"flat": begin(config, prepared, 0, ()).volume, "sharp": _truth(particles)}
        cases = [(name, order, radius) for order in orders for radius in radii for name in volumes]
        rates = [
            {"posterior": name, **measure_estep(prepared, volumes[name], (order, radius), batch, repeats)}
            for name, order, radius in cases
        ]
        stages = measure_search(config, prepared)
    machine = [f"{torch.get_num_threads()} threads; B = {batch} images; medians of {repeats}"]
    show("E-step", rates, machine)
    show(f"A search of {iterations} iterations, order 2", stages)
    save(output, "estep", {"threads": torch.get_num_threads(), "batch": batch, "estep": rates, "search": stages})


def measure_estep(
    prepared: AbinitDataset, volume: Float[Tensor, "1 m m m"], grid: tuple[int, float], batch: int, repeats: int
) -> Row:
    """Times and rates of one E-step on the rotations of a grid order, up to a Fourier radius."""
    order, radius = grid
    disc, box = half_disc(prepared.box, radius), working_grid(prepared.box, radius)
    turn = random_rotations(1, generator_for(1, "turn")).float()
    fronts = paired_grid(order)[::2].float() @ turn
    slices = grid_slices(box.model(resample(volume, box.size)), fronts[None], disc)
    phases = shift_phases(disc_grid(SHIFT_RANGE * prepared.box, shift_step(prepared, radius)).float(), disc)
    observed = prepared.source.observe(prepared.order[:batch], disc, prepared.noise_variance)
    views = 2 * len(slices)
    prior = torch.zeros(views)
    posterior = pose_posterior(observed, slices, phases, prior)
    score_s = _median_seconds(lambda: pose_posterior(observed, slices, phases, prior), repeats)
    sums_s = _median_seconds(lambda: slice_statistics(posterior, observed, phases, views), repeats)
    product_s = _median_seconds(_bare_products(batch, len(phases), slices), repeats)
    gflop = 2e-9 * batch * len(phases) * 2 * len(disc) * len(slices)
    return {
        "order": order,
        "radius": radius,
        "T": len(phases),
        "P": len(disc),
        "G": views,
        "GFLOP": gflop,
        "posterior s": score_s,
        "statistics s": sums_s,
        "GFLOP/s": gflop / (score_s + sums_s),
        "bare GFLOP/s": gflop / product_s,
        "part of bare": product_s / (score_s + sums_s),
    }


def measure_search(config: AbinitConfig, prepared: AbinitDataset) -> list[Row]:
    """Seconds of each stage of the search from a random start, and its part of the whole."""
    state = begin(config, prepared, 0, ())
    # the first iteration compiles
    search_iteration(config, prepared, state)
    began = time.perf_counter()
    with watching(STAGES) as seconds:
        while state.stage == "search":
            state, _ = search_iteration(config, prepared, state)
    whole = time.perf_counter() - began
    times = {stage: seconds.get(stage, 0.0) for stage in STAGES}
    times["rest"] = whole - sum(times.values())
    rows = [{"stage": stage, "s": spent, "share": f"{spent / whole:.0%}"} for stage, spent in times.items()]
    return [*rows, {"stage": "all", "s": whole, "share": "100%"}]


def _truth(particles: ParticleSet) -> Float[Tensor, "1 n n n"]:
    return read_map(particles.truth_map)[0][None]


def _bare_products(batch: int, shifts: int, slices: Tensor) -> Callable[[], None]:
    """The score products alone, in the blocks that the E-step takes them in, on random numbers."""
    images = chunk_size(8 * shifts * len(slices), block_bytes(slices.device), batch)
    columns = chunk_size(8 * shifts * images, BUDGET_BYTES, len(slices))
    left = torch.randn(images * shifts, 2 * slices.shape[1])
    right = torch.randn(len(slices), 2 * slices.shape[1])

    def multiply() -> None:
        for rows in chunks(batch, images):
            for part in chunks(len(right), columns):
                left[: (rows.stop - rows.start) * shifts] @ right[part].mT

    return multiply


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
