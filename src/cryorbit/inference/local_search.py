"""A pass over many images on candidate poses, each image's own: levels of refinement, statistics at the finest.

``inference.global_search`` finds coarse candidates; ``refine_poses`` subdivides them level by level at growing radius.
"""

from __future__ import annotations

import itertools
import math
import operator
from dataclasses import dataclass, replace
from functools import reduce

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunk_size
from cryorbit.core.memory import batch_bytes, batch_images
from cryorbit.fourier.half_disc import HalfDisc, count_within
from cryorbit.fourier.shells import shell_sums
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.band import Band
from cryorbit.inference.candidates import (
    CandidatePosterior,
    Candidates,
    at_best_pose,
    normalise,
    one_of_each_orbit,
    prune,
    score_candidates,
    subdivided,
    thinned,
)
from cryorbit.inference.exact_sums import ExactSums, WeightedSlices
from cryorbit.inference.pose_estimates import PoseEstimates, Reach, estimates_of, joined_estimates
from cryorbit.inference.pose_levels import Level
from cryorbit.inference.pose_space import InPlaneSpace, PoseSpace
from cryorbit.inference.statistics import ImageTerms, inserted_copies
from cryorbit.volumes.model import Model

LARGEST_BATCH = 64
SLICES_AN_IMAGE = 40
"""Candidates of an image that carry posterior, and some to spare: their slices are written out."""
GAMMA_FLOOR = 1e-4
"""Candidates with less posterior than this are left out of coarse searches."""
LEAST_MASS = 0.05
"""Candidates with less posterior than this are not inserted each, but drawn, a few in place of many."""
GOLDEN_RATIO = 0.6180339887498949
"""Its multiples, modulo one, are spread evenly."""


@dataclass(frozen=True, slots=True)
class Descent:
    """How cells of poses are refined.

    Attributes
    ----------
    levels
        From coarse to fine.
    space
        All poses.
    local
        Whether the cells lie around known poses. Those of a search over all poses fill the asymmetric unit and reach
        a little beyond it, so that mates may be among them.
    """

    levels: list[Level]
    space: PoseSpace | InPlaneSpace
    local: bool = False


@dataclass(frozen=True, slots=True)
class Refinement:
    """How a pass refines poses and what it makes of them.

    Attributes
    ----------
    descent
        How it refines them; with a symmetry, ``statistics.symmetrised`` makes its sums those of all copies.
    half_set
        For each of the pass's particles the half-set of the statistics that it joins.
    best_only
        Whether an image is inserted at its best pose only, instead of by its posterior.
    reach
        Degrees around its best poses beyond which posterior of an image counts as elsewhere.
    """

    descent: Descent
    half_set: Int[Tensor, " n"]
    best_only: bool = False
    reach: float = math.inf


def refine_poses(
    source: ParticleSource,
    index: Int[Tensor, " n"],
    cells: Candidates,
    unknown: Float[Tensor, "k ..."],
    band: Band,
    refinement: Refinement,
    into: ExactSums,
) -> tuple[PoseEstimates, ImageTerms]:
    """Refine the cells of the particles at ``index`` and add D and W of this process' share to ``into``.

    Parameters
    ----------
    source, index
        The particles, in the order of their numbers.
    cells
        Coarse candidates, images numbered as in ``index``.
    unknown
        Working unknowns (volumes) of K classes.
    band
        Their geometry, the half disc of what is inserted (no smaller than that of the finest level), the noise.
    refinement
        How poses are refined, and where each particle's statistics go.
    into
        D and W on the same half disc and grid; ``ExactSums.gather_`` makes them those of all processes.

    Returns
    -------
    estimates, terms
        Poses of all particles at ``index``, and what they add to the statistics beside D and W.
    """
    model = band.grid.model(unknown)
    # as large as a tenth of all that a refinement holds
    del unknown
    near = Reach(refinement.descent.space.symmetry, refinement.reach)

    def add(part: slice) -> tuple[PoseEstimates, ImageTerms]:
        observations = source.observe(index[part], band.disc, band.noise_variance)
        mine = cells_of(cells, part)
        candidates, posterior, lattice = descend(mine, observations, model, band, refinement.descent)
        if refinement.best_only:
            gamma = at_best_pose(candidates, posterior.gamma)
        else:
            # by the number of the particle: what is drawn does not depend on how particles are batched
            gamma = thinned(candidates, posterior.gamma, LEAST_MASS, (GOLDEN_RATIO * index[part].double()).frac())
        live = _weighted_images(candidates, gamma, lattice, observations, band.disc)
        residual, fit = _residual(live, observations, model, band)
        mass = residual.new_zeros(len(model.spectra))
        terms = ImageTerms(
            residual=residual,
            class_mass=mass.index_add_(0, live.candidates.klass, live.mass.double()),
            log_evidence=posterior.log_evidence.double().sum(),
            images=mass.new_tensor(len(observations)),
        )
        estimates = estimates_of(candidates, posterior, lattice, len(model.spectra), fit, near)
        # last: what fails before, for want of memory, is tried again with fewer images
        into.add(_slices_of(live, into, refinement.half_set[part], refinement.descent.space.symmetry))
        return estimates, terms

    estimates, terms = zip(*source.shards.run(add, index, batch_size(band.disc), into), strict=True)
    return joined_estimates(estimates), reduce(operator.add, terms)


def batch_size(disc: HalfDisc) -> int:
    """Images of a batch, as many as their slices on a half disc allow."""
    # about four complex arrays of candidates times coefficients are alive at once
    device = disc.shells.device
    return chunk_size(32 * SLICES_AN_IMAGE * len(disc), batch_bytes(device), batch_images(device, LARGEST_BATCH))


def cells_of(cells: Candidates, images: slice) -> Candidates:
    """The cells of consecutive images, renumbered from 0."""
    bounds = torch.tensor([images.start, images.stop], device=cells.image.device)
    first, last = torch.searchsorted(cells.image.contiguous(), bounds).tolist()
    mine = cells[first:last]
    return replace(mine, image=mine.image - images.start)


def descend(
    candidates: Candidates,
    observations: Observations,
    model: Model,
    band: Band,
    descent: Descent,
) -> tuple[Candidates, CandidatePosterior, Float[Tensor, "t 2"]]:
    """Candidates at the last level with their posterior, and the lattice of their shifts: subdivided and pruned."""
    levels, symmetry = descent.levels, descent.space.symmetry
    for number, level in enumerate(levels):
        candidates = subdivided(candidates, descent.space.children(candidates.rotation, 2 * level.spacing))
        if level is levels[-1] and symmetry is not None and not descent.local:
            candidates = one_of_each_orbit(candidates, symmetry)
        count = count_within(band.disc, level.radius)
        disc = HalfDisc(band.disc.box, level.radius, band.disc.frequencies[:count], band.disc.shells[:count])
        # the nine shifts around a centre: halfway to the next centres of the lattice before, of twice the step
        lattice = disc_grid(1.5 * level.shift_step, level.shift_step).to(observations.power)
        scores = score_candidates(candidates, observations.within(count), model, disc, lattice, descent.space.prior)
        if number < len(levels) - 1:
            candidates = prune(candidates, scores, level.keep_nats, level.at_most)
    poses_in_all = len(model.spectra) * descent.space.count(levels[-1].spacing, levels[-1].shift_step)
    return candidates, normalise(candidates, scores, poses_in_all), lattice


@dataclass(frozen=True, slots=True)
class _WeightedImages:
    """Candidates with posterior mass, and the shifted, weighted image each of them adds."""

    candidates: Candidates
    mass: Float[Tensor, " e"]
    data: Complex[Tensor, "e p"]
    weight: Float[Tensor, "e p"]

    def __getitem__(self, index: Int[Tensor, " m"]) -> _WeightedImages:
        """Some of them."""
        return _WeightedImages(self.candidates[index], self.mass[index], self.data[index], self.weight[index])


def _weighted_images(
    candidates: Candidates,
    gamma: Float[Tensor, "e t"],
    lattice: Float[Tensor, "t 2"],
    observations: Observations,
    disc: HalfDisc,
) -> _WeightedImages:
    """Sum each candidate's shifts: what is left to insert is one slice a candidate."""
    mass = gamma.sum(1)
    live = torch.nonzero(mass > 0)[:, 0]
    gamma, mass = gamma[live], mass[live]
    kept = candidates[live]
    phases = shift_phases(kept.centre, disc) * (gamma.to(observations.data.dtype) @ shift_phases(lattice, disc))
    return _WeightedImages(
        kept, mass, observations.data[kept.image] * phases, mass[:, None] * observations.weight[kept.image]
    )


def _residual(
    live: _WeightedImages, observations: Observations, model: Model, band: Band
) -> tuple[Float[Tensor, " s"], Float[Tensor, "2 b"]]:
    """Power that the model leaves, by shell, and ``overlap`` and ``model_power`` of each image (`PoseEstimates`)."""
    slices = model.slices(live.candidates.klass, live.candidates.rotation, band.disc.frequencies)
    overlap, model_power = (slices.conj() * live.data).real, live.weight * slices.abs() ** 2
    # |x - Y|^2 in its three parts, of which the posterior has means
    residual = observations.power.sum(0) + model_power.sum(0) - 2 * overlap.sum(0)
    fit = torch.zeros(2, len(observations), device=overlap.device)
    fit.index_add_(1, live.candidates.image, torch.stack([overlap.sum(1), model_power.sum(1)]))
    return shell_sums(residual.double(), band.disc.shells, len(band.noise_variance)), fit


def _slices_of(
    live: _WeightedImages,
    sums: ExactSums,
    half_set: Int[Tensor, " b"],
    symmetry: Float[Tensor, "s 3 3"] | None,
) -> list[WeightedSlices]:
    """What weighted images add to the sums of their half-sets and classes."""
    places = list(itertools.product(*map(range, sums.counts.shape[:2])))
    parts = []
    for h, k in places:
        mine = live
        if len(places) > 1:
            of_part = (half_set[live.candidates.image] == h) & (live.candidates.klass == k)
            mine = live[torch.nonzero(of_part)[:, 0]]
        if len(mine.mass):
            copies = inserted_copies(mine.candidates.rotation, symmetry)
            parts += [WeightedSlices(h, k, mine.data, mine.weight, rotations) for rotations in copies]
    return parts
