"""Coarse candidates from a search over all poses: a full grid of rotations, scored at a radius that it resolves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.geometry.point_groups import near_asymmetric_unit
from cryorbit.geometry.rotations import angular_distance, random_rotations
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_grid import order_for, paired_grid, spacing_deg
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.band import Band, band_within
from cryorbit.inference.candidates import Candidates, by_image
from cryorbit.inference.groups import among_largest, leaders
from cryorbit.inference.local_search import GAMMA_FLOOR
from cryorbit.inference.marginal import Posterior, pose_posterior
from cryorbit.inference.pose_grid import PoseGrid, grid_slices
from cryorbit.inference.pose_space import PoseSpace
from cryorbit.volumes.voxel import resample

BATCH = 256


@dataclass(frozen=True, slots=True)
class GlobalSearch:
    """A search over all poses.

    Attributes
    ----------
    spacing
        Degrees between the rotations of the grid, at most.
    radius
        Fourier radius of the scores.
    space
        The poses that are searched.
    shift_step
        Step of the shifts, pixels.
    cells
        Most orientations an image may keep in each class.
    """

    spacing: float
    radius: float
    space: PoseSpace
    shift_step: float
    cells: int


def resolvable_radius(spacing: float, diameter_px: float, box: int) -> float:
    """Fourier radius up to which a grid of rotations can tell views apart.

    A step of the grid may move a coefficient by about two cells of size 1 / diameter: further out the grid would
    miss poses, further in it could not tell similar views apart.
    """
    return 2 * box / diameter_px / math.radians(coarse_spacing(spacing))


def search_all_poses(
    source: ParticleSource,
    index: Int[Tensor, " n"],
    volume: Float[Tensor, "k m m m"],
    noise_variance: Float[Tensor, " s"],
    search: GlobalSearch,
    generator: torch.Generator,
) -> Candidates:
    """Coarse candidates of the particles at ``index``, which rises; the grid is turned at random: its gaps move."""
    band = band_within(source.box, search.radius, noise_variance)
    volume = resample(volume, band.grid.size)
    turn = random_rotations(1, generator).to(volume)
    rotations = coarse_grid(search.spacing, len(volume), turn) @ turn
    if search.space.symmetry is not None:
        # cells whose middle lies outside the asymmetric unit reach into it: a pose at its rim may be in one of those
        margin = 0.5 * coarse_spacing(search.spacing)
        rotations = rotations[:, near_asymmetric_unit(rotations[0], search.space.symmetry, margin)]
    shifts = disc_grid(search.space.shift_range, search.shift_step).to(volume)
    poses = PoseGrid(rotations, shifts, search.space.prior)

    def find(part: slice) -> Candidates:
        observations = source.observe(index[part], band.disc, noise_variance)
        cells = coarse_cells(observations, volume, poses, band, search.cells)
        return replace(cells, image=cells.image + part.start)

    return by_image(source.shards.run(find, index, source.batch_size(BATCH)))


def coarse_cells(
    observations: Observations,
    unknown: Float[Tensor, "k ..."],
    poses: PoseGrid,
    band: Band,
    at_most: int,
) -> Candidates:
    """Cells of a full grid that carry the posterior of each image, each with its most likely shift as the centre.

    Every class keeps cells of its own: between the points of a coarse grid a strong map fits badly and a weak one (of
    junk, say) does no harm, so classes do not compete here.
    """
    slices = grid_slices(band.grid.model(unknown), poses.fronts, band.disc)
    phases = shift_phases(poses.shifts, band.disc)
    parts = []
    for klass, mine in enumerate(slices.chunk(len(unknown))):
        prior = poses.rotation_prior[klass].to(phases.real)
        posterior = pose_posterior(observations, mine, phases, prior, shift_prior=poses.shift_prior)
        image, cell, shift = _most_likely(posterior, len(observations), 2 * len(mine), at_most)
        rotation = poses.rotations[klass, cell]
        parts.append(Candidates(image, torch.full_like(image, klass), rotation, poses.shifts[shift]))
    return by_image(parts)


def _most_likely(
    posterior: Posterior, images: int, slices: int, at_most: int
) -> tuple[Int[Tensor, " e"], Int[Tensor, " e"], Int[Tensor, " e"]]:
    """Image, slice and most likely shift of the slices that carry most of the posterior of each image."""
    key, number = torch.unique(posterior.image * slices + posterior.slice, return_inverse=True)
    mass = torch.zeros(len(key), device=key.device).index_add_(0, number, posterior.gamma)
    # every key has entries, and leaders come in the order of the keys
    shift = posterior.shift[leaders(posterior.gamma, number, len(key))]
    image, cell = torch.div(key, slices, rounding_mode="floor"), key % slices
    # no image loses its best slice: a posterior is a list of a few thousand entries at most, so that slice has more
    # than the floor
    keep = torch.nonzero(among_largest(mass, image, images, at_most) & (mass > GAMMA_FLOOR))[:, 0]
    return image[keep], cell[keep], shift[keep]


def moved_fraction(fresh: Candidates, rotation: Float[Tensor, "n 3 3"], tolerance: float) -> float:
    """Part of the images whose known rotation is not within ``tolerance`` (degrees) of any of its fresh candidates."""
    distance = angular_distance(fresh.rotation, rotation[fresh.image])
    nearest = distance.new_full((len(rotation),), torch.inf).scatter_reduce(0, fresh.image, distance, "amin")
    return float((nearest > tolerance).float().mean())


def coarse_grid(spacing: float, classes: int, like: Tensor) -> Float[Tensor, "k r 3 3"]:
    """The same equal-volume grid for every class, no coarser than ``spacing`` degrees, in pairs half a turn apart."""
    return paired_grid(order_for(spacing)).to(like).expand(classes, -1, 3, 3)


def coarse_spacing(spacing: float) -> float:
    """Nominal spacing of ``coarse_grid``, degrees."""
    return spacing_deg(order_for(spacing))
