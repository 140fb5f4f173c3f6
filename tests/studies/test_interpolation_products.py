"""Products of interpolation weights: the dense matrix, the reference, and the kernel."""

from dataclasses import replace

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc
from cryorbit.fourier.interpolation import gather_slices
from cryorbit.geometry.rotations import random_rotations
from cryorbit.kernels.table import PRODUCTS
from cryorbit.studies.toader2023 import interpolation_products
from cryorbit.studies.toader2023.interpolation_products import OFFSETS, insert_products, insert_squares

SIZE, RADIUS, PAD = 12, 2.3, 2


def _problem(generator):
    frequencies = half_disc(16, RADIUS).frequencies
    rotations = random_rotations(4, generator)
    weights = torch.rand(4, len(frequencies), generator=generator, dtype=torch.float64)
    return weights, rotations, frequencies, SIZE, PAD


def _dense(weights, rotations, frequencies, size, pad):
    """The matrix, from the slices of every half volume with a single one in it; mirrored points conjugate only."""
    total = size * size * (size // 2 + 1)
    units = torch.eye(total, dtype=torch.complex128).view(total, size, size, -1)
    columns = [gather_slices(unit, rotations, frequencies, pad).real.flatten() for unit in units]
    gather = torch.stack(columns, 1)
    return gather.mT @ (weights.flatten()[:, None] * gather)


@pytest.mark.parametrize("kernel", [True, False])
def test_products_are_the_entries_of_the_dense_matrix(kernel, generator, monkeypatch):
    if not kernel:
        monkeypatch.setattr(interpolation_products, "PRODUCTS", replace(PRODUCTS, dtypes=()))
    problem = _problem(generator)
    dense = _dense(*problem)
    products, squares = insert_products(*problem), insert_squares(*problem)
    torch.testing.assert_close(squares.flatten(), dense.diagonal())
    half = SIZE // 2 + 1
    total = SIZE * SIZE * half
    found = torch.zeros_like(dense)
    z, y, x = torch.unravel_index(torch.arange(total), (SIZE, SIZE, half))
    for (dz, dy, dx), volume in zip(OFFSETS, products, strict=True):
        there = ((z + dz) % SIZE * SIZE + (y + dy) % SIZE) * half + (x + dx) % half
        found[torch.arange(total), there] += volume.flatten()
        if (dz, dy, dx) != (0, 0, 0):
            found[there, torch.arange(total)] += volume.flatten()
    torch.testing.assert_close(found, dense)
