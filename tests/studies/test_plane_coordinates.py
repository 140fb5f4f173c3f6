"""Real coordinates of images keep lengths, and come back to the images."""

import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.fourier.half_disc import half_disc, image_transform
from cryorbit.studies.paul2024.bessel.plane_coordinates import (
    coordinates_to_images,
    from_coordinates,
    images_to_coordinates,
    odd_plane,
    to_coordinates,
)


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_plane_has_one_of_each_pair():
    plane = odd_plane(7)
    assert plane.shape == (25, 2)
    both = {tuple(each) for each in torch.cat([plane, -plane[1:]]).tolist()}
    assert both == {(float(x), float(y)) for x in range(-3, 4) for y in range(-3, 4)}
    assert plane[0].tolist() == [0, 0]


def test_lengths_and_angles_are_kept():
    a, b = images(2, 15, 15)
    first, second = images_to_coordinates(a), images_to_coordinates(b)
    assert first.shape == (226,)
    torch.testing.assert_close(first @ second, (a * b).sum(), atol=1e-11, rtol=0)
    torch.testing.assert_close(first @ first, (a * a).sum(), atol=1e-11, rtol=0)


def test_there_and_back():
    given = images(3, 2, 15, 15)
    torch.testing.assert_close(coordinates_to_images(images_to_coordinates(given), 15), given, atol=1e-13, rtol=0)


def test_coefficients_are_those_of_the_definition():
    image, side = images(7, 7), 7
    frequencies = odd_plane(side)
    values = from_coordinates(images_to_coordinates(image), frequencies)
    position = torch.arange(side, dtype=torch.float64) - side // 2
    for (kx, ky), value in zip(frequencies.tolist(), values, strict=True):
        phase = -2 * torch.pi * (kx * position + ky * position[:, None]) / side
        expected = (image * torch.exp(1j * phase)).sum() / side
        torch.testing.assert_close(value, expected, atol=1e-13, rtol=0)


def test_half_discs_of_even_images_have_coordinates_too():
    image = images(8, 8)
    disc = half_disc(8, 3.0)
    spectrum = image_transform(image, disc)
    coordinates = to_coordinates(spectrum, disc.frequencies)
    torch.testing.assert_close(coordinates @ coordinates, 2 * spectrum.abs().square().sum())
    torch.testing.assert_close(from_coordinates(coordinates, disc.frequencies), spectrum)


def test_even_images_have_no_such_plane():
    with pytest.raises(InputError, match="odd side"):
        odd_plane(8)
