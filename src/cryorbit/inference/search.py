"""Stochastic steps on the marginal likelihood over a grid of all poses: how a random start becomes a first map.

One step: slices of every class at every grid rotation, pose posteriors of a mini-batch, the gradient as back-projected
residuals, divided by a curvature, averaged with momentum, then the real-space constraints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.fourier.interpolation import gather_slices, join_mates
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.constraints import centre_offset, rolled, windowed
from cryorbit.inference.marginal import Posterior, SliceStatistics, pose_posterior, residual_power, slice_statistics
from cryorbit.inference.statistics import insert
from cryorbit.volumes.voxel import PAD, VoxelGrid, resample, solve, synthesize


@runtime_checkable
class StepRule(Protocol):
    """How a gradient becomes a step: the curvature it is divided by."""

    def curvature(self, weight: Float[Tensor, "q q h"]) -> Float[Tensor, "q q h"]:
        """Positive curvature on the Fourier grid from the back-projected weights W."""
        ...


@dataclass(frozen=True, slots=True)
class DiagonalPreconditioner:
    """Divide by W itself: a damped stochastic M-step (Toader, Brubaker & Lederman 2025, with the exact majoriser).

    ``floor`` times the largest weight is added, so that frequencies hardly any slice has met move slowly.
    """

    floor: float = 0.02

    def curvature(self, weight: Float[Tensor, "q q h"]) -> Float[Tensor, "q q h"]:
        """``W + floor max W``."""
        return weight + self.floor * weight.max()


@dataclass(frozen=True, slots=True)
class LargestCurvature:
    """Divide by the largest W: the step of the cryoSPARC algorithm, one length for all frequencies."""

    def curvature(self, weight: Float[Tensor, "q q h"]) -> Float[Tensor, "q q h"]:
        """``max W`` everywhere."""
        return torch.full_like(weight, float(weight.max()))


@dataclass(frozen=True, slots=True)
class SearchState:
    """Working volumes of K classes and their velocities."""

    volume: Float[Tensor, "k m m m"]
    velocity: Float[Tensor, "k m m m"]


@dataclass(frozen=True, slots=True)
class PoseGrid:
    """The poses of one step.

    Attributes
    ----------
    rotations
        Of each class, in pairs half a turn apart in the plane of the image (``geometry.so3_grid.paired_grid``).
    shifts
        Common to all, pixels.
    """

    rotations: Float[Tensor, "k r 3 3"]
    shifts: Float[Tensor, "t 2"]

    def __post_init__(self) -> None:
        """Raise ``ValueError`` if the rotations do not come in pairs."""
        if not torch.allclose(self.rotations[:, ::2, :2], -self.rotations[:, 1::2, :2], atol=1e-5):
            raise ValueError("rotations of a pose grid come in pairs half a turn apart")

    @property
    def fronts(self) -> Float[Tensor, "k h 3 3"]:
        """The first of each pair: the slice of the second is the conjugate of its slice."""
        return self.rotations[:, ::2]


@dataclass(frozen=True, slots=True)
class StepSettings:
    """Numbers of one step.

    Attributes
    ----------
    momentum
        Part of the old velocity that is kept.
    rate
        Step length; 1 is the whole damped M-step.
    class_mixing
        Part of every image's class posterior that is spread evenly over the classes.
    positive
        Whether negative density is set to zero.
    """

    momentum: float = 0.9
    rate: float = 1.0
    class_mixing: float = 0.0
    positive: bool = True


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step saw: log-likelihood per image (nats), effective poses, class fractions, residual per coefficient."""

    log_likelihood: float
    effective: float
    class_fractions: Float[Tensor, " k"]
    residual: Float[Tensor, " p"]


def resized(state: SearchState, size: int) -> SearchState:
    """The state on a working box of another size."""
    if state.volume.shape[-1] == size:
        return state
    return SearchState(resample(state.volume, size), resample(state.velocity, size))


def grid_slices(
    volume: Float[Tensor, "k m m m"], rotations: Float[Tensor, "k r 3 3"], disc: HalfDisc, grid: VoxelGrid
) -> Complex[Tensor, "g p"]:
    """Slices of all classes, class after class."""
    spectra = synthesize(volume, grid)
    return torch.cat([gather_slices(f, r, disc.frequencies, PAD) for f, r in zip(spectra, rotations, strict=True)])


def search_step(
    state: SearchState,
    observations: Observations,
    poses: PoseGrid,
    domain: tuple[VoxelGrid, HalfDisc, Float[Tensor, "m m m"]],
    rule: StepRule,
    settings: StepSettings,
) -> tuple[SearchState, StepReport]:
    """One stochastic step; ``domain`` is the working box, the half disc and the real-space window.

    A class that (almost) no image of the batch belongs to is left as it is: its curvature says nothing.
    """
    grid, disc, window = domain
    classes, per_class = poses.rotations.shape[:2]
    fronts = grid_slices(state.volume, poses.fronts, disc, grid)
    slices = torch.stack([fronts, fronts.conj()], 1).flatten(0, 1)
    phases = shift_phases(poses.shifts, disc)
    log_prior = torch.full_like(slices.real[:, 0], -math.log(len(slices) * len(phases)))
    posterior = pose_posterior(observations, fronts, phases, log_prior, paired=True)
    mass = class_mass(posterior, per_class, classes, len(observations))
    mixed = mix_classes(posterior, mass, per_class, settings.class_mixing)
    statistics = slice_statistics(mixed, observations, phases, len(slices))
    steps = _class_steps(statistics, slices, poses.rotations, disc, grid, rule)
    velocity = settings.momentum * state.velocity + (1 - settings.momentum) * steps
    volume = windowed(state.volume + settings.rate * velocity, window)
    if settings.positive:
        volume = volume.clamp_min(0)
    report = StepReport(
        log_likelihood=float(posterior.log_evidence.mean()),
        effective=float(posterior.effective.mean()),
        class_fractions=mass.mean(0),
        residual=residual_power(observations, slices, statistics),
    )
    return _centred(SearchState(volume, velocity)), report


def class_mass(posterior: Posterior, per_class: int, classes: int, images: int) -> Float[Tensor, "b k"]:
    """Posterior of the classes of every image; slices are numbered class after class."""
    mass = posterior.gamma.new_zeros(images * classes)
    klass = torch.div(posterior.slice, per_class, rounding_mode="floor")
    return mass.index_add_(0, posterior.image * classes + klass, posterior.gamma).reshape(images, classes)


def mix_classes(posterior: Posterior, mass: Float[Tensor, "b k"], per_class: int, amount: float) -> Posterior:
    """Replace each image's class posterior q by ``(1 - amount) q + amount / K``, poses within a class unchanged.

    This is the "class similarity" of cryoSPARC as its documentation describes it: early on no class starves.
    """
    if amount == 0 or mass.shape[1] == 1:
        return posterior
    mixed = (1 - amount) * mass + amount / mass.shape[1]
    klass = torch.div(posterior.slice, per_class, rounding_mode="floor")
    factor = (mixed / mass.clamp_min(1e-12))[posterior.image, klass]
    return Posterior(
        posterior.image,
        posterior.slice,
        posterior.shift,
        posterior.gamma * factor,
        posterior.log_evidence,
        posterior.effective,
    )


def _class_steps(
    statistics: SliceStatistics,
    slices: Complex[Tensor, "g p"],
    rotations: Float[Tensor, "k r 3 3"],
    disc: HalfDisc,
    grid: VoxelGrid,
    rule: StepRule,
) -> Float[Tensor, "k m m m"]:
    """Preconditioned gradient of each class."""
    classes, per_class = rotations.shape[:2]
    touched = statistics.weight[:, 0] > 0
    inserted = []
    for k in range(classes):
        part = slice(k * per_class, (k + 1) * per_class)
        live: Int[Tensor, " l"] = torch.nonzero(touched[part])[:, 0]
        weight = statistics.weight[part][live]
        residual = statistics.data[part][live] - weight * slices[part][live]
        data, density = insert(residual, weight, rotations[k][live], disc, grid)
        inserted.append((join_mates(data), join_mates(density)))
    largest = max(float(density.max()) for _, density in inserted)
    steps = []
    for data, density in inserted:
        if float(density.max()) < 1e-3 * largest:
            steps.append(data.real.new_zeros((grid.size,) * 3))
        else:
            steps.append(solve(data, rule.curvature(density), grid))
    return torch.stack(steps)


def _centred(state: SearchState) -> SearchState:
    """Each class moved by whole voxels so that its centre of mass is in the middle."""
    offsets = centre_offset(state.volume)
    return SearchState(
        torch.stack([rolled(v, o) for v, o in zip(state.volume, offsets, strict=True)]),
        torch.stack([rolled(v, o) for v, o in zip(state.velocity, offsets, strict=True)]),
    )
