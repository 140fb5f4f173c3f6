"""Products of the weights of trilinear interpolation: the matrix ``A^T diag(w) A`` of gathering and inserting.

A point of a slice reads the eight corners of its cell. So ``A^T diag(w) A`` couples a voxel with itself and its 26
neighbours only: it is 14 volumes, those of the other 13 neighbours following by symmetry.
"""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.fourier.interpolation_torch import corners, sample_points

CORNERS = tuple(itertools.product((0, 1), repeat=3))
"""Corners of a cell, ``(dz, dy, dx)``, in the order of ``corners``."""
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
    points, _ = sample_points(rotations.to(weights), frequencies.to(weights), pad)
    squares = weights.new_zeros(size * size * (size // 2 + 1))
    for index, corner_weight in corners(points, size):
        squares.index_add_(0, index.flatten(), (corner_weight**2 * weights).flatten())
    return squares.view(size, size, -1)


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
    points, _ = sample_points(rotations.to(weights), frequencies.to(weights), pad)
    total = size * size * (size // 2 + 1)
    products = weights.new_zeros(len(OFFSETS) * total)
    cell = [(index.flatten(), weight.flatten()) for index, weight in corners(points, size)]
    for (first, (index, weight)), (second, (_, other)) in itertools.combinations_with_replacement(enumerate(cell), 2):
        offset = tuple(b - a for a, b in zip(CORNERS[first], CORNERS[second], strict=True))
        products.index_add_(0, OFFSETS.index(offset) * total + index, weight * other * weights.flatten())
    return products.view(len(OFFSETS), size, size, -1)
