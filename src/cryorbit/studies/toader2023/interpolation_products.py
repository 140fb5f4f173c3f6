"""Products of the weights of trilinear interpolation: the matrix ``A^T diag(w) A`` of gathering and inserting.

A point of a slice reads the eight corners of its cell. So ``A^T diag(w) A`` couples a voxel with itself and its 26
neighbours only: it is 14 volumes, those of the other 13 neighbours following by symmetry.
"""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from cryorbit.kernels.table import PRODUCTS

CORNERS = tuple(itertools.product((0, 1), repeat=3))
"""Corners of a cell, ``(dz, dy, dx)``, in the order of ``kernels.trilinear.corners``."""
OFFSETS = tuple(offset for offset in itertools.product((-1, 0, 1), repeat=3) if offset >= (0, 0, 0))
"""Steps ``(dz, dy, dx)`` from a voxel to itself and to the neighbours that come after it."""


def insert_squares(
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    size: int,
    pad: int,
) -> Float[Tensor, "m m h"]:
    """Diagonal of ``A^T diag(weights) A`` on the half volume: weights scattered by squared interpolation weights."""
    alone = pairs_of_corners()
    alone = alone[alone[:, 0] == alone[:, 1]]
    return _scatter(weights, rotations, pad * frequencies, size, alone)[0]


def insert_products(
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    size: int,
    pad: int,
) -> Float[Tensor, "14 m m h"]:
    """Entries of ``A^T diag(weights) A`` between each voxel of the half volume and the one at each of `OFFSETS`.

    The matrix is the one that acts on half volumes of which no two entries are tied to each other.
    """
    return _scatter(weights, rotations, pad * frequencies, size, pairs_of_corners())


def _scatter(
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    points: Float[Tensor, "p 2"],
    size: int,
    pairs: Int[NDArray[np.int64], "q 3"],
) -> Float[Tensor, "o m m h"]:
    products = weights.new_zeros(int(pairs[:, 2].max()) + 1, size * size * (size // 2 + 1))
    PRODUCTS.choose(weights)(products, weights, rotations, points, size, pairs)
    return products.view(len(products), size, size, -1)


def pairs_of_corners() -> Int[NDArray[np.int64], "q 3"]:
    """Numbers of two corners of a cell, the second not before the first, and of the step from one to the other."""
    chosen = itertools.combinations_with_replacement(enumerate(CORNERS), 2)
    steps = [(i, j, tuple(b - a for a, b in zip(first, second, strict=True))) for (i, first), (j, second) in chosen]
    return np.array([(i, j, OFFSETS.index(step)) for i, j, step in steps])
