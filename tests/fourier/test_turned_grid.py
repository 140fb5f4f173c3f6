"""Means of a Fourier volume over rotations: volumes whose means are known."""

import pytest
import torch

from cryorbit.fourier.interpolation import join_mates
from cryorbit.fourier.turned_grid import average_turned
from cryorbit.geometry.rotations import random_rotations

SIZE = 20


def spectrum(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A complete half transform and an even density."""
    shape = (SIZE, SIZE, SIZE // 2 + 1)
    volume = torch.randn(shape, dtype=torch.complex64, generator=generator)
    return join_mates(volume), join_mates(torch.rand(shape, generator=generator))


def average(volume: torch.Tensor, density: torch.Tensor, rotations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The means, beside what they were made of."""
    means = volume.clone(), density.clone()
    average_turned(*means, rotations)
    return means


def test_a_quarter_turn_moves_grid_points(generator: torch.Generator) -> None:
    volume, density = spectrum(generator)
    turn = torch.tensor([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]], dtype=torch.float64)
    turned, turned_density = average(volume, density, turn)
    # (x, y, z) = (3, 4, -2) reads (-4, 3, -2), which is stored as the conjugate of (4, -3, 2)
    assert turned[-2, 4, 3] == volume[2, -3, 4].conj()
    assert turned_density[-2, 4, 3] == density[2, -3, 4]
    assert turned[1, 0, 0] == volume[1, 0, 0]
    assert turned[SIZE // 2, 0, 0] == turned_density[SIZE // 2, SIZE // 2, 1] == 0


def test_rotations_between_grid_points_are_refused(generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="into itself"):
        average(*spectrum(generator), random_rotations(1, generator))
