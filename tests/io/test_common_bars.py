"""Bars of another grey in all images, faint ones too; no particle, filter or gradient makes one."""

import pytest
import torch

from cryorbit.io.common_bars import common_bars

COUNT, BOX = 200, 48


def particles(generator: torch.Generator, off_centre: tuple[int, int] = (0, 0)) -> torch.Tensor:
    """Noise of standard deviation 1 and a particle in the middle, or beside it in all images."""
    axis = torch.arange(BOX) - BOX // 2
    distance = torch.hypot(axis[:, None] - off_centre[0], axis[None, :].float() - off_centre[1])
    particle = torch.sigmoid(12.0 - distance) - 0.2 * torch.exp(-0.5 * ((distance - 16) / 2) ** 2)
    return torch.randn(COUNT, BOX, BOX, generator=generator) + 0.8 * particle


@pytest.mark.parametrize(
    ("first", "width", "height"), [(8, 1, 0.5), (10, 3, 0.3), (10, 8, 0.3), (0, 6, 0.4), (40, 8, -0.3), (30, 2, 1.5)]
)
@pytest.mark.parametrize("axis", [1, 2])
def test_bars(generator: torch.Generator, first: int, width: int, height: float, axis: int) -> None:
    images = particles(generator)
    images.narrow(axis, first, width).add_(height)
    found = common_bars(images)
    assert found.narrow(axis - 1, first, width).all()
    # noise may add the next one to a faint bar
    assert found.sum() <= (width + 1) * BOX


@pytest.mark.parametrize("off_centre", [(0, 0), (2, 0), (1, -2)])
def test_a_particle_is_no_bar(generator: torch.Generator, off_centre: tuple[int, int]) -> None:
    assert not common_bars(particles(generator, off_centre)).any()


def test_a_gradient_is_no_bar(generator: torch.Generator) -> None:
    assert not common_bars(particles(generator) + torch.linspace(-0.5, 0.5, BOX)).any()


def test_a_bar_of_some_images_is_none_of_all(generator: torch.Generator) -> None:
    images = particles(generator)
    images[: COUNT // 5, :, 10:13] += 0.3
    assert not common_bars(images).any()


def test_filaments_along_one_axis_are_no_bars(generator: torch.Generator) -> None:
    images = particles(generator)
    images[:, BOX // 2 - 4 : BOX // 2 + 5] += 0.5
    assert not common_bars(images).any()
