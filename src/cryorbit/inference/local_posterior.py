"""The posterior around one pose of each image: what reconstruction needs of a search that found the best pose only."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_grid import neighbourhood
from cryorbit.imaging.observations import Observations
from cryorbit.inference.branch_and_bound import BranchResult
from cryorbit.inference.candidates import CandidatePosterior, Candidates, normalise, score_candidates

WORTH_INSERTING = 1e-3
"""Poses of less posterior than this are dropped."""


def local_posterior(
    found: BranchResult,
    observations: Observations,
    volumes: Complex[Tensor, "k q q h"],
    disc: HalfDisc,
    cell: tuple[float, float],
) -> tuple[Candidates, CandidatePosterior, Float[Tensor, "t 2"]]:
    """Posterior on the 19 rotations and 9 shifts at most one step from each best pose, in its class.

    Parameters
    ----------
    found
        Best poses of the images.
    observations, volumes, disc
        The images and the classes' padded transforms at the full radius.
    cell
        Spacing of the rotations (degrees) and step of the shifts (px).

    Returns
    -------
    candidates, posterior, lattice
        Rotations that carry posterior, around the best shift of their image; weights that sum to one for each image;
        and the lattice of shifts they refer to. The evidence is that of the neighbourhood among all cells of its size.
    """
    spacing, step = cell
    rotations = neighbourhood(found.rotation, spacing, reach=1)
    images, each = rotations.shape[:2]
    candidates = Candidates(
        torch.arange(images, device=rotations.device).repeat_interleave(each),
        found.klass.repeat_interleave(each),
        rotations.flatten(0, 1),
        found.shift.repeat_interleave(each, 0),
    )
    lattice = disc_grid(1.5 * step, step).to(found.shift)
    scores = score_candidates(candidates, observations, volumes, disc, lattice)
    posterior = normalise(candidates, scores, 72 * (60 / spacing) ** 3 * len(volumes) * len(lattice))
    kept, gamma = _worth_inserting(candidates, posterior.gamma)
    return kept, CandidatePosterior(gamma, posterior.log_evidence), lattice


def _worth_inserting(candidates: Candidates, gamma: Float[Tensor, "e t"]) -> tuple[Candidates, Float[Tensor, "l t"]]:
    """Candidates with at least one pose above the floor; those poses' weights, made to sum to one again."""
    large = torch.where(gamma > WORTH_INSERTING, gamma, 0.0)
    live = large.sum(1) > 0
    kept, large = candidates[live], large[live]
    total = large.new_zeros(candidates.images).index_add_(0, kept.image, large.sum(1))
    return kept, large / total[kept.image, None]
