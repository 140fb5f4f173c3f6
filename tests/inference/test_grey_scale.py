"""The factor on a map that makes it explain the images' power above the noise."""

import math

import pytest
import torch

from cryorbit.core.conventions import HERMITIAN_WEIGHT
from cryorbit.imaging.observations import Observations
from cryorbit.inference.grey_scale import explained_scale


def images_of_power(excess: float) -> Observations:
    """Two images of three coefficients, with a power above that of whitened noise, weights 1 and 3."""
    power = torch.full((2, 3), HERMITIAN_WEIGHT + excess)
    return Observations(torch.zeros(2, 3, dtype=torch.complex64), torch.tensor([[1.0] * 3, [3.0] * 3]), power)


@pytest.mark.parametrize("part", [1.0, 0.25])
def test_the_scaled_map_has_the_excess_power(part: float) -> None:
    """Slices of modulus 3 under a mean weight of 2 have a power of 18."""
    slices = torch.full((5, 3), 3j)
    expected = math.sqrt(part * 4.5 / 18)
    assert explained_scale(images_of_power(4.5), slices, part) == pytest.approx(expected)
    if part == 1.0:
        assert explained_scale(images_of_power(4.5), slices) == pytest.approx(expected)


def test_images_of_noise_alone_leave_a_faint_map() -> None:
    slices = torch.full((5, 3), 3j)
    assert explained_scale(images_of_power(-0.5), slices) == pytest.approx(math.sqrt(0.02 / 18))
