"""Cells of poses of many images at once, as ragged lists: which survive a bound, and their children.

A cell is an orientation and a shift of one image. Cells with the same shift are kept together, as candidates around
one centre: the shifts of their children are then one lattice, which ``candidates.score_candidates`` scores at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.geometry.so3_grid import subdivide
from cryorbit.inference.candidates import Candidates, CandidateScores, subdivided
from cryorbit.inference.groups import among_largest, largest

CHILDREN = 8


@dataclass(frozen=True, slots=True)
class PoseCells:
    """Orientations around shift centres, sorted by image and centre.

    Attributes
    ----------
    candidates
        Orientations and the centres of their shifts.
    orientation
        Number of each orientation in the grid of its level, the same for all images.
    centre
        Number of each centre among those of all images, ascending.
    """

    candidates: Candidates
    orientation: Int[Tensor, " e"]
    centre: Int[Tensor, " e"]


def whole_grid(rotations: Float[Tensor, "k r 3 3"], images: int) -> PoseCells:
    """All rotations of all classes for every image, around the shift zero."""
    classes, each = rotations.shape[:2]
    count = classes * each
    number = torch.arange(count, device=rotations.device).repeat(images)
    image = torch.arange(images, device=rotations.device).repeat_interleave(count)
    klass = torch.div(number, each, rounding_mode="floor")
    centre = rotations.new_zeros(images * count, 2)
    candidates = Candidates(image, klass, rotations.flatten(0, 1).repeat(images, 1, 1), centre)
    return PoseCells(candidates, number, image)


def best_cells(
    cells: PoseCells, scores: CandidateScores, images: int
) -> tuple[Float[Tensor, " b"], Int[Tensor, "b 2"]]:
    """The best score of every image; the candidate and the lattice point that have it."""
    image = cells.candidates.image
    each, point = scores.log_joint.max(1)
    best = each.new_full((images,), -torch.inf).scatter_reduce(0, image, each, "amax")
    hits = torch.nonzero(each == best[image])[:, 0]
    # of equal scores the first: every image has exactly one best cell
    candidate = hits.new_full((images,), len(each)).scatter_reduce(0, image[hits], hits, "amin")
    return best, torch.stack([candidate, point[candidate]], 1)


def surviving(cells: PoseCells, scores: CandidateScores, least: Float[Tensor, " b"]) -> Int[Tensor, "s 2"]:
    """Candidate and lattice point of every score that reaches the least one worth keeping of its image."""
    return torch.nonzero(scores.log_joint >= least[cells.candidates.image, None])


def capped(
    cells: PoseCells, scores: CandidateScores, kept: Int[Tensor, "s 2"], most: tuple[int, int]
) -> tuple[Int[Tensor, "c 2"], Bool[Tensor, "b 2"]]:
    """Those of the kept cells in the best orientations and shifts of their image, at most so many of each.

    Also says for which images each of the two caps took something away.
    """
    candidate, point = kept.unbind(1)
    image, score = cells.candidates.image[candidate], scores.log_joint[candidate, point]
    shift = cells.centre[candidate] * len(scores.lattice) + point
    within, bites = torch.ones_like(image, dtype=torch.bool), []
    for key, at_most in zip((cells.orientation[candidate], shift), most, strict=True):
        best = _in_best_keys(key, score, image, at_most)
        within &= best
        bites.append(torch.bincount(image[~best], minlength=cells.candidates.images) > 0)
    return kept[within], torch.stack(bites, 1)


def poses_of(cells: PoseCells, lattice: Float[Tensor, "t 2"], kept: Int[Tensor, "s 2"]) -> Candidates:
    """Single poses at lattice points of candidates, the shift of each as its centre."""
    candidate, point = kept.unbind(1)
    chosen = cells.candidates[candidate]
    return Candidates(chosen.image, chosen.klass, chosen.rotation, chosen.centre + lattice[point])


def children(cells: PoseCells, lattice: Float[Tensor, "t 2"], kept: Int[Tensor, "s 2"], spacing: float) -> PoseCells:
    """The eight orientations within every kept cell of this spacing (degrees), around its shift as the new centre."""
    key = cells.centre[kept[:, 0]] * len(lattice) + kept[:, 1]
    _, number = torch.unique(key, return_inverse=True)
    # cells of one centre must stand together: an image is shifted once for each run of them
    order = number.argsort(stable=True)
    parents = poses_of(cells, lattice, kept[order])
    orientation = cells.orientation[kept[order, 0], None] * CHILDREN + torch.arange(CHILDREN, device=order.device)
    return PoseCells(
        subdivided(parents, subdivide(parents.rotation, spacing)),
        orientation.flatten(),
        number[order].repeat_interleave(CHILDREN),
    )


def _in_best_keys(
    key: Int[Tensor, " s"], score: Float[Tensor, " s"], image: Int[Tensor, " s"], at_most: int
) -> Bool[Tensor, " s"]:
    """Whether the ``key`` of each entry is among the best of its image, by the best score that an entry has with it."""
    span = int(key.max()) + 1
    keys, number = torch.unique(image * span + key, return_inverse=True)
    owner = torch.div(keys, span, rounding_mode="floor")
    return among_largest(largest(score, number, len(keys)), owner, int(owner[-1]) + 1, at_most)[number]
