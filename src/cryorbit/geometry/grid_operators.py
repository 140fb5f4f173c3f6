"""A point group in factors, those first that take a cubic grid into itself."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

TOLERANCE = 1e-6
"""Largest difference of two entries of equal operators."""


def grid_factors(group: Float[Tensor, "g 3 3"]) -> list[Float[Tensor, "_f 3 3"]]:
    """Three sets of operators whose products, in this order, are the group, each operator once.

    A mean over the group is a mean over one set after the other, and O has 4 + 6 + 1 operators in its sets instead of
    24. The first set are the operators that only change signs of coordinates, the second represent the cosets of those
    that permute the axes too, the third the cosets of the group. Entries of the first two sets are exactly 0, 1 and -1:
    points of a cubic grid are moved onto each other.
    """
    on_grid = (group - group.round()).abs().amax((-1, -2)) < TOLERANCE
    group = torch.where(on_grid[:, None, None], group.round(), group)
    only_signs = on_grid & (group.diagonal(dim1=-2, dim2=-1).abs().sum(-1) > 3 - TOLERANCE)
    subgroups = [torch.eye(3).to(group)[None], group[only_signs], group[on_grid], group]
    return [_representatives(inner, outer) for inner, outer in itertools.pairwise(subgroups)]


def _representatives(subgroup: Float[Tensor, "h 3 3"], group: Float[Tensor, "g 3 3"]) -> Float[Tensor, "f 3 3"]:
    """One operator of each right coset ``subgroup @ operator``."""
    representatives = []
    while len(group):
        representatives.append(group[0])
        coset = subgroup @ group[0]
        group = group[(group[:, None] - coset).abs().amax((-1, -2)).amin(1) >= TOLERANCE]
    return torch.stack(representatives)
