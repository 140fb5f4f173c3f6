"""What the bound of branch and bound excludes, and what its caps do, beside the search on a grid.

    python benchmarks/pruning.py map_64.mrc map_128.mrc --output benchmarks/results/pruning.json

Images are simulated from each map. A row is one plan on one set; rows that the output has already are not run again.
Kept and lost poses are those of the first grid, where most poses are excluded or none. CPU is that of the whole search
of the first images, without what all images share, and so are the poses that are right in the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cyclopts
import torch
from torch import Tensor

from cryorbit.api.devices import limit_threads
from cryorbit.core.chunks import chunks
from cryorbit.core.data import Poses
from cryorbit.fourier.half_disc import HalfDisc, count_within, half_disc, image_transform
from cryorbit.geometry.rotations import angular_distance
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.observations import Observations, observe
from cryorbit.imaging.transfer import Transfer
from cryorbit.inference.band import Band
from cryorbit.inference.branch_and_bound import BranchPlan, Searcher, make_searcher, search_poses, search_stage
from cryorbit.inference.candidates import Candidates
from cryorbit.inference.first_radius import pruning_radius
from cryorbit.inference.global_search import coarse_cells, coarse_grid, resolvable_radius
from cryorbit.inference.local_search import Descent, descend
from cryorbit.inference.pose_bound import BoundSettings, SliceSamples, noise_allowance, omitted_power
from cryorbit.inference.pose_cells import whole_grid
from cryorbit.inference.pose_grid import PoseGrid
from cryorbit.inference.pose_levels import finest_spacing, levels_for
from cryorbit.inference.pose_space import PoseSpace
from cryorbit.io.mrc import read_map
from cryorbit.simulate.microscope import Microscope, draw_ctf
from cryorbit.simulate.particles import Truth, clean_images, draw_poses
from cryorbit.simulate.projection import prepare_map
from cryorbit.volumes.voxel import resample, working_grid
from tables import Row, save, show

RADIUS, SHIFT_SIGMA, SHIFT_RANGE = 7 / 16, 0.02, 0.06
"""Full Fourier radius, spread of the true shifts and largest shift that is searched, as parts of the box."""
SPACING, CELLS, CANDIDATES = 15.0, 64, 32
"""Of the grid search: the defaults of ``refine``."""
AT_ONCE = 4
TIMED, TIMED_AT_ONCE, ENOUGH_S = 50, 5, 2.0
"""Most images of which the whole search is timed, so many at a time; no more once it has taken so many CPU seconds."""
SAME_POSE = 5.0
"""Degrees from the truth within which a best pose counts as right."""


@dataclass(frozen=True, slots=True)
class Case:
    """Images of one signal-to-noise ratio, their poses, and the volume that they are images of."""

    observations: Observations
    poses: Poses
    volume: Tensor
    band: Band
    diameter: float

    @property
    def box(self) -> int:
        """Pixels along a side of the images."""
        return self.band.disc.box

    def some(self, part: slice) -> Case:
        """Some of the images."""
        poses = Poses(self.poses.rotations[part], self.poses.shifts[part])
        return replace(self, observations=self.observations[part], poses=poses)


def main(
    *maps: Path,
    snrs: tuple[float, ...] = (0.1, 1.0, 0.05),
    plans: tuple[str, ...] | None = None,
    images: int = 200,
    threads: int | None = None,
    output: Path | None = None,
) -> None:
    """Search images of maps on a grid and by the plans of branch and bound, all or those named."""
    limit_threads(threads)
    rows: list[Row] = json.loads(output.read_text())["rows"] if output is not None and output.exists() else []
    for file in maps:
        for snr in snrs:
            case = None
            for name in plans or ROWS:
                start = {"box": len(read_map(file)[0]), "snr": snr, "plan": name}
                if any(start.items() <= row.items() for row in rows):
                    continue
                case = case or simulate(file, images, snr)
                rows.append({**start, **ROWS[name](case)})
                save(output, "pruning", {"images": images, "rows": rows})
    show("Branch and bound: the first grid", rows)


def simulate(file: Path, images: int, snr: float) -> Case:
    """Observations of a map with noise of unit variance."""
    volume, pixel_size = read_map(file)
    box, generator = len(volume), torch.Generator().manual_seed(11)
    ctf, micrographs = draw_ctf(images, Microscope(particles_per_micrograph=20), generator)
    poses = draw_poses(images, SHIFT_SIGMA * box, generator)
    truth = Truth(poses, ctf, torch.zeros(images, dtype=torch.long), micrographs)
    clean = clean_images([prepare_map(volume.float())], truth, pixel_size)
    scale = (snr / clean.var((1, 2), correction=0).mean()).sqrt()
    noisy = scale * clean + torch.randn(clean.shape, generator=generator)
    disc, grid = half_disc(box, RADIUS * box), working_grid(box, RADIUS * box)
    transfer = Transfer(ctf_values(ctf, disc.frequencies / (box * pixel_size)).float())
    observations = observe(image_transform(noisy, disc), transfer, torch.ones(len(disc)))
    filled = torch.nonzero(volume > 0.05 * volume.max()).double() - box // 2
    diameter = 2 * float(filled.norm(dim=1).max())
    working = resample(scale * volume.float(), grid.size)[None]
    return Case(observations, poses, working, Band(grid, disc, torch.ones(box // 2 + 1)), diameter)


def former(case: Case) -> BranchPlan:
    """The plan of earlier releases: a radius that the grid resolves, and the published incumbent."""
    radius = min(case.band.radius, resolvable_radius(SPACING, case.diameter, case.box))
    return plan(case, radius, incumbent="best-cell")


def chosen(case: Case) -> BranchPlan:
    """The default: the radius from the spectrum of the map, and the best pose below the best cell as incumbent."""
    weight, model = case.observations.weight.mean(0), case.band.grid.model(case.volume)
    return plan(case, pruning_radius(model, case.band.disc, weight, BoundSettings()))


def plan(case: Case, radius: float, **fields: object) -> BranchPlan:
    """Down to what the full radius can tell apart, from a first radius."""
    return BranchPlan(
        final_spacing=finest_spacing(case.band.radius, case.diameter, case.box),
        final_step=0.1 * case.box / case.band.radius,
        shift_extent=SHIFT_RANGE * case.box,
        first_spacing=SPACING,
        first_step=case.box / (4 * radius),
        first_radius=radius,
        **fields,
    )


def published(case: Case) -> BranchPlan:
    """The plan as printed."""
    return replace(
        plan(case, 12.0, incumbent="best-cell", subdivisions=7),
        grid="axis-angle",
        first_spacing=24.0,
        first_step=5.0,
        orientation_cap=1 / 8,
        fewest_shifts=1,
        bound=BoundSettings(deviation="published", ctf="group", cell_reach=0.0),
    )


def at_points(case: Case) -> BranchPlan:
    """The default without an allowance for cells: what the bound does at the very points of the grid."""
    return replace(chosen(case), bound=BoundSettings(cell_reach=0.0))


def finer(case: Case) -> BranchPlan:
    """The default from a first grid of half the spacing, whose cells need a smaller allowance."""
    return replace(chosen(case), first_spacing=SPACING / 2)


def bounded(case: Case, branch: BranchPlan) -> Row:
    """The row of a plan."""
    searcher = make_searcher(case.band.grid.model(case.volume), case.band.disc, branch)
    parts = [first_grid(case.some(part), searcher) for part in chunks(len(case.observations), AT_ONCE)]
    by_bound, by_caps, no_cell, capped, lost = (torch.cat(each).float().mean() for each in zip(*parts, strict=True))
    beyond, measured = margins(case, searcher)
    return {
        "first radius": branch.first_radius,
        "poses": len(searcher.slices) * len(searcher.shifts),
        "kept by bound": float(by_bound),
        "kept by caps": float(by_caps),
        "capped": float(capped),
        "lost by bound": float(no_cell),
        "lost": float(lost),
        "beyond, nats": beyond,
        "by energy, nats": measured,
        **timed(case, lambda few: search_poses(few.observations, searcher).rotation),
    }


def first_grid(case: Case, searcher: Searcher) -> tuple[Tensor, ...]:
    """Of each image: part of the grid kept by the bound, by the caps; true pose lost by the bound; capped; lost."""
    images = len(case.observations)
    nothing = case.observations.weight.new_full((images,), -torch.inf)
    at = search_stage(whole_grid(searcher.rotations, images), nothing, case.observations, searcher, 0)
    counts = at.counts
    by_bound, by_caps = (counts[name] / counts["evaluated"] for name in ("bounded", "kept"))
    lost = [~holds_truth(case, searcher, each) for each in (at.bounded, at.kept)]
    return by_bound, by_caps, lost[0], counts["capped"].any(1), lost[1]


def holds_truth(case: Case, searcher: Searcher, kept: Tensor) -> Tensor:
    """Whether the cell of some kept pose of an image reaches its true pose."""
    stage, grid = searcher.stages[0], len(searcher.slices)
    apart = angular_distance(searcher.rotations[0].double()[None], case.poses.rotations.double()[:, None])
    near_rotation = apart <= stage.spacing * 3**0.5 / 2
    near_shift = torch.cdist(case.poses.shifts.float(), searcher.shifts) <= stage.step / 2**0.5
    image, rotation = torch.div(kept[:, 0], grid, rounding_mode="floor"), kept[:, 0] % grid
    hit = near_rotation[image, rotation] & near_shift[image, kept[:, 1]]
    return torch.bincount(image[hit], minlength=len(case.observations)) > 0


def margins(case: Case, searcher: Searcher) -> tuple[float, float]:
    """What coefficients beyond the first radius may add: by the bound, and by Cauchy-Schwarz on the image's own energy.

    The second needs no model of the image: of a slice of energy E in a shell, and an image of energy D there, the
    score is at most ``sqrt(E D) - E / 2``. D holds the noise of the shell.
    """
    seen, settings = case.observations, searcher.plan.bound
    count = count_within(case.band.disc, searcher.stages[0].radius)
    power = omitted_power(seen.weight, searcher.samples[0], count, settings)
    beyond = power + noise_allowance(power, settings)
    return float(beyond.mean()), float(by_energy(seen, searcher.samples[0], case.band.disc, count).mean())


def by_energy(seen: Observations, samples: SliceSamples, disc: HalfDisc, count: int) -> Tensor:
    """The largest ``sum over shells of sqrt(E D) - E / 2`` of any sampled slice, for each image."""
    most = seen.weight.new_zeros(len(seen), len(samples.power))
    energy = torch.where(seen.weight > 0, seen.data.abs() ** 2 / seen.weight, 0.0)
    for shell in disc.shells[count:].unique().tolist():
        mine = (disc.shells == shell) & (torch.arange(len(disc)) >= count)
        model = seen.weight[:, mine] @ samples.power[:, mine].mT
        most += (model * energy[:, mine].sum(1, keepdim=True)).sqrt() - model / 2
    return most.amax(1)


def on_grid(case: Case) -> Row:
    """The row of the search on a grid with the defaults of ``refine``."""
    radius = min(case.band.radius, resolvable_radius(SPACING, case.diameter, case.box))
    step = case.box / (4 * radius)
    poses = PoseGrid(coarse_grid(SPACING, 1, case.volume), disc_grid(SHIFT_RANGE * case.box, step).float())
    lost, cells = [], 0
    for part in chunks(len(case.observations), AT_ONCE):
        found = grid_cells(case.some(part), poses, radius)
        apart = angular_distance(found.rotation.double(), case.poses.rotations[part].double()[found.image])
        near = (found.centre - case.poses.shifts[part].float()[found.image]).norm(dim=1) <= step / 2**0.5
        hits = found.image[(apart <= SPACING * 3**0.5 / 2) & near]
        lost.append(torch.bincount(hits, minlength=part.stop - part.start) == 0)
        cells += len(found.image)
    every = poses.rotations.shape[1] * len(poses.shifts)
    return {
        "first radius": radius,
        "poses": every,
        "kept by caps": cells / len(case.observations) / every,
        "lost": float(torch.cat(lost).float().mean()),
        **timed(case, lambda few: grid_search(few, poses, radius, step)),
    }


def grid_cells(case: Case, poses: PoseGrid, radius: float) -> Candidates:
    """The coarse cells of the grid search."""
    low = half_disc(case.box, radius)
    grid = working_grid(case.box, radius)
    band = Band(grid, low, case.band.noise_variance)
    return coarse_cells(
        case.observations.within(len(low)), resample(case.volume[0], grid.size)[None], poses, band, CELLS
    )


def grid_search(case: Case, poses: PoseGrid, radius: float, step: float) -> Tensor:
    """The rotation of the best pose of the grid search."""
    cells = grid_cells(case, poses, radius)
    levels = levels_for(case.band.radius, SPACING, step, case.diameter, case.box, CANDIDATES)
    model, space = case.band.grid.model(case.volume), PoseSpace(SHIFT_RANGE * case.box)
    found, posterior, _ = descend(cells, case.observations, model, case.band, Descent(levels, space))
    best = [posterior.gamma.amax(1).where(found.image == b, -1.0).argmax() for b in range(len(case.observations))]
    return found.rotation[torch.stack(best)]


def timed(case: Case, search: Callable[[Case], Tensor]) -> Row:
    """CPU time of a whole search for an image, and the part of its rotations that are near the true ones."""
    apart, seconds = [], 0.0
    # what is compiled or cached is not timed
    search(case.some(slice(1)))
    for part in chunks(min(TIMED, len(case.observations)), TIMED_AT_ONCE):
        few = case.some(part)
        began = time.process_time()
        found = search(few)
        seconds += time.process_time() - began
        apart.append(angular_distance(found.double(), few.poses.rotations.double()))
        if seconds > ENOUGH_S:
            break
    right = torch.cat(apart) < SAME_POSE
    return {"CPU ms": 1e3 * seconds / len(right), "right": float(right.float().mean()), "timed": len(right)}


def _row(make: Callable[[Case], BranchPlan]) -> Callable[[Case], Row]:
    return lambda case: bounded(case, make(case))


ROWS: dict[str, Callable[[Case], Row]] = {
    "grid": on_grid,
    "chosen": _row(chosen),
    "former": _row(former),
    "published": _row(published),
    "former, descent": _row(lambda case: replace(former(case), incumbent="descent")),
    "chosen, grid points": _row(at_points),
    "chosen, 7.5 degrees": _row(finer),
}


if __name__ == "__main__":
    cyclopts.run(main)
