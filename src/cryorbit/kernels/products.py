"""Sums of products of interpolation weights: the matrix of gathering and inserting, entry by entry."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from cryorbit.kernels.compiled import compiled
from cryorbit.kernels.trilinear import corners, sample_points


def add_products_torch(
    products: Float[Tensor, "o v"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    points: Float[Tensor, "p 2"],
    size: int,
    pairs: Int[NDArray[np.int64], "q 3"],
) -> None:
    """Add, in place, what each pair of corners of every point's cell contributes, in plain torch.

    Parameters
    ----------
    products
        A flat half volume for each step between two corners.
    weights, rotations, points
        Weight of each point, poses, and ``(kx, ky)`` in padded Fourier pixels.
    size
        Side of the half volume.
    pairs
        Numbers of two corners, and of the step between them.
    """
    places, _ = sample_points(rotations.to(weights), points.to(weights), 1)
    cell = [(index.flatten(), weight.flatten()) for index, weight in corners(places, size)]
    for first, second, offset in pairs.tolist():
        index, weight = cell[first]
        products[offset].index_add_(0, index, weight * cell[second][1] * weights.flatten())


def add_products_numba(
    products: Float[Tensor, "o v"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    points: Float[Tensor, "p 2"],
    size: int,
    pairs: Int[NDArray[np.int64], "q 3"],
) -> None:
    """The same as a compiled kernel, in the precision of what it adds to; one thread."""
    rows = rotations[:, :2, :].reshape(-1, 6).double().contiguous().numpy()
    _add(products.numpy(), weights.contiguous().numpy(), rows, points.double().contiguous().numpy(), size, pairs)


@compiled()
def _add(products, weights, rows, points, size, pairs):
    index, share = np.empty(8, dtype=np.int64), np.empty(8)
    for g in range(rows.shape[0]):
        r = rows[g]
        for p in range(points.shape[0]):
            px, py = points[p, 0], points[p, 1]
            x, y, z = r[0] * px + r[3] * py, r[1] * px + r[4] * py, r[2] * px + r[5] * py
            if x < 0:
                x, y, z = -x, -y, -z
            x0, y0, z0 = int(x), int(np.floor(y)), int(np.floor(z))
            for corner in range(8):
                dz, dy, dx = corner >> 2, (corner >> 1) & 1, corner & 1
                index[corner] = (((z0 + dz) % size) * size + (y0 + dy) % size) * (size // 2 + 1) + x0 + dx
                share[corner] = abs(1 - dz - (z - z0)) * abs(1 - dy - (y - y0)) * abs(1 - dx - (x - x0))
            for q in range(pairs.shape[0]):
                first, second = pairs[q, 0], pairs[q, 1]
                products[pairs[q, 2], index[first]] += weights[g, p] * share[first] * share[second]
