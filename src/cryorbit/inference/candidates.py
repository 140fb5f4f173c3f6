"""The E-step on candidate poses that each image has for itself, from coarse cells to fine ones.

Suffix legend: B images, E candidates (pairs of an image and a rotation, ragged), T local shifts, P coefficients.

A candidate is a (class, rotation) of one image; shifts are a small lattice around a centre of its own, for the best
shift of a wrong orientation says nothing about that of the right one. Scores are the model's; the
candidates that matter are subdivided and scored again at a larger radius, so the number of poses evaluated follows the
posterior and not the grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.geometry.point_groups import asymmetric_unit
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.groups import among_largest, largest, leaders
from cryorbit.inference.pose_prior import PosePrior, at_candidates
from cryorbit.volumes.model import Model

NEGLIGIBLE = 1e-7
"""Posterior of a pose below which it counts as none."""
CLASS_NATS = 30.0
"""A class this far behind an image's best one on the way down is out of question for that image."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidate orientations of B images, each with at least one, sorted by image; and where to look for their shifts.

    Attributes
    ----------
    image
        Index of the image of each candidate.
    klass
        Class of each candidate.
    rotation
        Orientation of each candidate.
    centre
        Shift, in pixels, in the middle of the lattice of shifts of each candidate.
    """

    image: Int[Tensor, " e"]
    klass: Int[Tensor, " e"]
    rotation: Float[Tensor, "e 3 3"]
    centre: Float[Tensor, "e 2"]

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.image[-1]) + 1

    def __getitem__(self, index: Tensor | slice) -> Candidates:
        """The candidates at ``index``, which keeps their order; a mask would be counted for each of the arrays."""
        return Candidates(self.image[index], self.klass[index], self.rotation[index], self.centre[index])


@dataclass(frozen=True, slots=True)
class CandidateScores:
    """Log-posteriors (nats, not normalised) of candidates, and the lattice of local shifts they refer to."""

    log_joint: Float[Tensor, "e t"]
    lattice: Float[Tensor, "t 2"]


def score_candidates(
    candidates: Candidates,
    observations: Observations,
    model: Model,
    disc: HalfDisc,
    lattice: Float[Tensor, "t 2"],
    prior: PosePrior | None = None,
) -> CandidateScores:
    """Scores of every candidate at every shift ``centre + lattice``, with the prior of its pose; None: all alike."""
    site, first = _sites(candidates)
    shifted = observations[candidates.image[first]]
    shifted = replace(shifted, data=shifted.data * shift_phases(candidates.centre[first], disc))
    poses, phases = (site, candidates.klass, candidates.rotation), shift_phases(lattice, disc)
    scores = model.scores(shifted.data, shifted.weight, poses, disc.frequencies, phases)
    if prior is not None:
        scores = scores + at_candidates(prior, candidates.rotation, candidates.centre, lattice)
    return CandidateScores(scores, lattice)


def _sites(candidates: Candidates) -> tuple[Int[Tensor, " e"], Int[Tensor, " s"]]:
    """Runs of candidates that share image and centre: the number of each candidate's run, the first one of each."""
    image, centre = candidates.image, candidates.centre
    starts = torch.ones_like(image, dtype=torch.bool)
    starts[1:] = (image[1:] != image[:-1]) | (centre[1:] != centre[:-1]).any(1)
    return starts.cumsum(0) - 1, torch.nonzero(starts)[:, 0]


def prune(candidates: Candidates, scores: CandidateScores, keep_nats: float, at_most: int) -> Candidates:
    """The candidates within ``keep_nats`` of their image's best of the same class, at most so many; centres moved.

    Classes do not compete before the finest level: on a coarse one a sharp map fits badly between the points, and a
    weak map (of junk, say) does no harm. Shifts are marginalised; the new centre is the best point of the lattice.
    """
    marginal = torch.logsumexp(scores.log_joint, 1)
    images = candidates.images
    classes = int(candidates.klass.max()) + 1
    group = candidates.image * classes + candidates.klass
    best = largest(marginal, group, images * classes)
    hopeful = best[group] > largest(marginal, candidates.image, images)[candidates.image] - CLASS_NATS
    near = marginal > best[group] - keep_nats
    keep = torch.nonzero(hopeful & near & among_largest(marginal, group, images * classes, at_most))[:, 0]
    kept = candidates[keep]
    return replace(kept, centre=kept.centre + scores.lattice[scores.log_joint[keep].argmax(1)])


def subdivided(candidates: Candidates, children: Float[Tensor, "e c 3 3"]) -> Candidates:
    """Every candidate's children, rotations of its cell, in its place."""
    count = children.shape[1]
    return Candidates(
        candidates.image.repeat_interleave(count),
        candidates.klass.repeat_interleave(count),
        children.flatten(0, 1),
        candidates.centre.repeat_interleave(count, 0),
    )


def one_of_each_orbit(candidates: Candidates, symmetry: Float[Tensor, "s 3 3"]) -> Candidates:
    """The candidates within the asymmetric unit, where an image has any: no pose counts twice."""
    inside = asymmetric_unit(candidates.rotation, symmetry)
    has_any = largest(inside.float(), candidates.image, candidates.images) > 0
    return candidates[torch.nonzero(inside | ~has_any[candidates.image])[:, 0]]


def by_image(parts: Sequence[Candidates]) -> Candidates:
    """All candidates of some parts, sorted by image; those of an image in the order of the parts."""
    together = Candidates(*(torch.cat([getattr(part, name) for part in parts]) for name in Candidates.__slots__))
    return together[together.image.argsort(stable=True)]


def in_every_class(candidates: Candidates, classes: int) -> Candidates:
    """The same orientations as candidates of every class, still sorted by image."""
    return Candidates(
        candidates.image.repeat_interleave(classes),
        torch.arange(classes, device=candidates.image.device).repeat(len(candidates.image)),
        candidates.rotation.repeat_interleave(classes, 0),
        candidates.centre.repeat_interleave(classes, 0),
    )


@dataclass(frozen=True, slots=True)
class CandidatePosterior:
    """Posterior over an image's candidates and local shifts.

    Attributes
    ----------
    gamma
        Weights; those of an image sum to one.
    log_evidence
        Log of the mean over the poses of one cell each; comparable between images and maps at equal settings.
    """

    gamma: Float[Tensor, "e t"]
    log_evidence: Float[Tensor, " b"]


def at_best_pose(candidates: Candidates, gamma: Float[Tensor, "e t"]) -> Float[Tensor, "e t"]:
    """Weights that are one at the most likely pose of every image, and zero elsewhere."""
    top, shift = gamma.max(1)
    best = leaders(top, candidates.image, candidates.images)
    hard = torch.zeros_like(gamma)
    hard[best, shift[best]] = 1.0
    return hard


def thinned(
    candidates: Candidates, gamma: Float[Tensor, "e t"], least: float, start: Float[Tensor, " b"]
) -> Float[Tensor, "e t"]:
    """Weights that have moved from candidates of less than ``least`` in all to a few of these, drawn systematically.

    A candidate of mass m is drawn with probability ``m / least`` and then weighs ``least``: sums over images keep their
    expectation, and a broad posterior costs no more than ``1 / least`` candidates.

    Parameters
    ----------
    candidates, gamma
        Candidates and their weights.
    least
        Smallest mass of a candidate in what is returned.
    start
        Where, in [0, 1), the first tick of each image is: numbers that are spread evenly over the images.
    """
    mass = gamma.sum(1)
    small = mass < least
    # in double precision: small masses would be lost in a running sum over thousands of candidates
    reached = torch.where(small, mass, 0.0).double().cumsum(0) / least
    first = torch.searchsorted(candidates.image.contiguous(), torch.arange(candidates.images, device=mass.device))
    before = torch.cat([reached.new_zeros(1), reached])[:-1]
    shift = (start.to(reached) - before[first])[candidates.image]
    drawn = small & ((reached + shift).floor() > (before + shift).floor())
    factor = torch.where(drawn, least / mass, (~small).to(mass))
    return gamma * factor[:, None]


def normalise(candidates: Candidates, scores: CandidateScores, poses_in_all: float) -> CandidatePosterior:
    """Posterior weights; ``poses_in_all`` is the number of poses of the full grid that the candidates are part of."""
    images = candidates.images
    per_candidate = scores.log_joint.amax(1)
    best = largest(per_candidate, candidates.image, images)
    gamma = (scores.log_joint - best[candidates.image, None]).exp()
    total = torch.zeros_like(best).index_add_(0, candidates.image, gamma.sum(1))
    gamma = gamma / total[candidates.image, None]
    # what is negligible would reach products of matrices as denormal numbers, which cost a hundred times more
    gamma = torch.where(gamma > NEGLIGIBLE, gamma, 0.0)
    return CandidatePosterior(gamma, best + total.log() - math.log(poses_in_all))
