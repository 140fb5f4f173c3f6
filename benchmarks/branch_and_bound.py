"""Branch and bound against exhaustive search: poses scored, time, and how often the optimum is the same.

    python benchmarks/branch_and_bound.py --output benchmarks/results/branch_and_bound.json

Images of a phantom of 32 pixels, searched with the published incumbent, the best cell. `pruning.py` tells what the
bound excludes on larger images. The exhaustive search scores every pose of a grid of 3.75 degrees and a quarter of the
first shift step at the full radius, and then every descendant, down to the finest grid, of the best orientations.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import cyclopts
import torch
from torch import Tensor

from cryorbit.api.devices import limit_threads
from cryorbit.core.chunks import chunks
from cryorbit.core.data import Poses
from cryorbit.fourier.half_disc import half_disc, image_transform
from cryorbit.geometry.rotations import angular_distance
from cryorbit.geometry.so3_grid import subdivide
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.observations import Observations, observe
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.transfer import Transfer
from cryorbit.inference.branch_and_bound import BranchPlan, BranchResult, Searcher, make_searcher, search_poses
from cryorbit.inference.candidates import Candidates, score_candidates
from cryorbit.inference.pose_bound import BoundSettings
from cryorbit.inference.pose_grid import grid_slices
from cryorbit.simulate.microscope import Microscope, draw_ctf
from cryorbit.simulate.particles import Truth, clean_images, draw_poses
from cryorbit.simulate.phantoms import blob_volume, random_blobs
from cryorbit.simulate.projection import prepare_map
from cryorbit.volumes.voxel import VoxelModel, resample, working_grid
from tables import Row, save, show

BOX, RADIUS, PIXEL_SIZE = 32, 10.0, 4.0
BLOB_WIDTH = 1.15
"""Of a phantom with power up to the full radius, px."""
COARSE_LEVELS, FINE_LEVELS = 2, 2
BEST_ORIENTATIONS = 256
ROTATIONS_AT_ONCE = 4608
SETTINGS = ((0.0, 1 / 8), (0.4, 1 / 8), (0.7, 1 / 8), (0.7, 1 / 4))
"""Part of a cell that the bound allows for, cap on orientations: from published to default."""
NEGLIGIBLE_NATS = 0.01
"""Poses whose scores differ by less are equally good."""


@dataclass(frozen=True, slots=True)
class Case:
    """Images of one signal-to-noise ratio, and the volume they are images of."""

    observations: Observations
    model: VoxelModel


def main(
    *,
    snrs: tuple[float, ...] = (1.0, 0.3, 0.1),
    images: int = 100,
    threads: int | None = None,
    output: Path | None = None,
) -> None:
    """Compare the published settings, the default and what lies between, at signal-to-noise ratios."""
    limit_threads(threads)
    rows: list[Row] = []
    for snr in snrs:
        case = simulate(images, snr)
        searcher = make_searcher(case.model, half_disc(BOX, RADIUS), plan(*SETTINGS[0]))
        best, seconds = exhaustive(case, searcher)
        rows += [{"snr": snr, **compare(case, setting, best, seconds)} for setting in SETTINGS]
    show("Branch and bound", rows)
    save(output, "branch_and_bound", {"images": images, "rows": rows})


def plan(reach: float, cap: float) -> BranchPlan:
    """Down to 0.94 degrees and 0.16 px."""
    return BranchPlan(
        final_spacing=1.0,
        final_step=0.2,
        shift_extent=3.0,
        first_step=2.5,
        first_radius=6.0,
        orientation_cap=cap,
        incumbent="best-cell",
        bound=BoundSettings(cell_reach=reach),
    )


def simulate(images: int, snr: float) -> Case:
    """Observations of a phantom with noise of unit variance."""
    generator = torch.Generator().manual_seed(11)
    blobs = random_blobs(BOX, generator, 24)
    volume = blob_volume(replace(blobs, widths=torch.full_like(blobs.widths, BLOB_WIDTH)), BOX)
    ctf, micrographs = draw_ctf(images, Microscope(particles_per_micrograph=20), generator)
    truth = Truth(draw_poses(images, 0.8, generator), ctf, torch.zeros(images, dtype=torch.long), micrographs)
    clean = clean_images([prepare_map(volume)], truth, PIXEL_SIZE)
    scale = (snr / clean.var((1, 2), correction=0).mean()).sqrt()
    noisy = scale * clean + torch.randn(clean.shape, generator=generator)
    disc, grid = half_disc(BOX, RADIUS), working_grid(BOX, RADIUS)
    transfer = ctf_values(ctf, disc.frequencies / (BOX * PIXEL_SIZE)).float()
    observations = observe(image_transform(noisy, disc), Transfer(transfer), torch.ones(len(disc)))
    return Case(observations, grid.model(resample(scale * volume, grid.size)[None]))


def exhaustive(case: Case, searcher: Searcher) -> tuple[Candidates, float]:
    """The best pose of every image among all, and the seconds an image that the coarser, complete grid took."""
    disc, step = searcher.disc, searcher.plan.first_step
    shifts = descendants(searcher.shifts, step, COARSE_LEVELS)
    shifted = (case.observations.data[:, None] * shift_phases(shifts, disc)).flatten(0, 1)
    columns = torch.view_as_real(shifted).flatten(1).mT.contiguous()
    scores, points, rotations = [], [], []
    began = time.perf_counter()
    every = finer(searcher.rotations[0], searcher.stages[0].spacing, COARSE_LEVELS)
    for part in chunks(len(every), ROTATIONS_AT_ONCE):
        slices = grid_slices(searcher.model, every[None, part], disc)
        product = (torch.view_as_real(slices).flatten(1) @ columns).unflatten(1, (-1, len(shifts)))
        top, point = product.max(2)
        top = top - 0.5 * (slices.abs() ** 2 @ case.observations.weight.mT)
        best = top.topk(BEST_ORIENTATIONS, 0)
        scores.append(best.values)
        points.append(point.gather(0, best.indices))
        rotations.append(best.indices + part.start)
    seconds = time.perf_counter() - began
    best = torch.cat(scores).topk(BEST_ORIENTATIONS, 0).indices
    chosen = torch.cat(rotations).gather(0, best).mT.flatten()
    centre = shifts[torch.cat(points).gather(0, best).mT.flatten()]
    return best_descendants(case, searcher, every[chosen], centre), seconds / len(case.observations)


def best_descendants(case: Case, searcher: Searcher, rotations: Tensor, centre: Tensor) -> Candidates:
    """The best of all finest poses in the cells of the rotations chosen for each image."""
    stage = searcher.stages[COARSE_LEVELS]
    lattice = descendants(torch.zeros(1, 2), stage.step, FINE_LEVELS)
    found = []
    for b in range(len(case.observations)):
        mine = slice(b * BEST_ORIENTATIONS, (b + 1) * BEST_ORIENTATIONS)
        fine = finer(rotations[mine], stage.spacing, FINE_LEVELS)
        zero = torch.zeros(len(fine), dtype=torch.long)
        around = Candidates(zero, zero, fine, centre[mine].repeat_interleave(8**FINE_LEVELS, 0))
        image = case.observations[b : b + 1]
        scores = score_candidates(around, image, case.model, searcher.disc, lattice).log_joint
        candidate, point = divmod(int(scores.argmax()), len(lattice))
        found.append((fine[candidate], around.centre[candidate] + lattice[point]))
    image = torch.arange(len(found))
    return Candidates(image, torch.zeros_like(image), *(torch.stack(a) for a in zip(*found, strict=True)))


def finer(rotations: Tensor, spacing: float, levels: int) -> Tensor:
    """All descendants of rotations of a spacing (degrees)."""
    for level in range(levels):
        rotations = subdivide(rotations, spacing / 2**level).flatten(0, 1)
    return rotations


def descendants(shifts: Tensor, step: float, levels: int) -> Tensor:
    """All descendants of shifts of a step (px)."""
    for level in range(levels):
        axis = torch.tensor([-0.25, 0.25]) * step / 2**level
        shifts = (shifts[:, None] + torch.cartesian_prod(axis, axis)).flatten(0, 1)
    return shifts


def compare(case: Case, setting: tuple[float, float], reference: Candidates, exhaustive_s: float) -> Row:
    """One row: branch and bound with one of ``SETTINGS`` beside the exhaustive optimum."""
    searcher = make_searcher(case.model, half_disc(BOX, RADIUS), plan(*setting))
    search_poses(case.observations[:2], searcher)
    began = time.perf_counter()
    found = search_poses(case.observations, searcher)
    seconds = (time.perf_counter() - began) / len(found.score)
    here = torch.zeros(1, 2)
    best = score_candidates(reference, case.observations, case.model, searcher.disc, here).log_joint[:, 0]
    finest = searcher.stages[-1]
    poses = len(searcher.slices) * len(searcher.shifts) * 32 ** (len(searcher.stages) - 1)
    same, near = agreement(found, Poses(reference.rotation, reference.centre), finest.spacing, finest.step)
    lost = best - found.score
    return {
        "reach": setting[0],
        "cap": setting[1],
        "poses an image": float(found.evaluated.sum(1).float().mean()),
        "by stage": " ".join(f"{n:.0f}" for n in found.evaluated.float().mean(0).tolist()),
        "part of all": float(found.evaluated.sum(1).float().mean()) / poses,
        "ms": 1e3 * seconds,
        "exhaustive ms": 1e3 * exhaustive_s,
        "optimum found": f"{float((lost < NEGLIGIBLE_NATS).float().mean()):.1%}",
        "same pose": f"{same:.0%}",
        "within a step": f"{near:.0%}",
        "nats lost": float(lost.clamp_min(0).mean()),
        "capped": f"{float(found.capped.any(2).any(1).float().mean()):.0%}",
    }


def agreement(found: BranchResult, reference: Poses, spacing: float, step: float) -> tuple[float, float]:
    """Parts of the images whose pose is the reference's, and at most one step of the finest grid from it."""
    angle = angular_distance(found.rotation.double(), reference.rotations.double()) / spacing
    shift = (found.shift - reference.shifts).abs().amax(1) / step
    same, near = (angle < 0.1) & (shift < 0.1), (angle < 1.1 * 3**0.5) & (shift < 1.1)
    return float(same.float().mean()), float(near.float().mean())


if __name__ == "__main__":
    cyclopts.run(main)
