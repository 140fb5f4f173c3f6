"""Stretched images against direct sums at the frequencies asked for, and what happens at the edges of boxes."""

import math

import pytest
import torch

from cryorbit.fourier.half_disc import HalfDisc, half_disc, image_transform
from cryorbit.fourier.stretched import stretched

BOX = 48
MATRICES = (
    ((1.03, 0.0), (0.0, 0.97)),
    ((0.97, 0.0), (0.0, 0.97)),
    ((1.01, 0.02), (-0.01, 0.98)),
    ((1.2, 0.0), (0.0, 1.0)),
)
ERROR = 2e-4
"""Of the norm; of white noise, which has as much at Nyquist as anywhere."""


def direct(images: torch.Tensor, matrix: torch.Tensor, disc: HalfDisc) -> torch.Tensor:
    """Unitary transforms at ``matrix @ q``, as sums over pixels in double precision."""
    axis = torch.arange(disc.box).double() - disc.box // 2
    turn = -2j * math.pi / disc.box * (disc.frequencies.double() @ matrix.T)
    x, y = (torch.exp(turn[:, i, None] * axis) for i in (0, 1))
    return torch.einsum("py,byx,px->bp", y, images.to(x), x) / disc.box


@pytest.fixture
def images(generator: torch.Generator) -> torch.Tensor:
    """White noise within the circle in the box, less 5 pixels."""
    axis = torch.arange(BOX) - BOX // 2
    return torch.randn(3, BOX, BOX, generator=generator) * (axis**2 + axis[:, None] ** 2 < (BOX / 2 - 5) ** 2)


@pytest.mark.parametrize("matrix", MATRICES)
def test_transforms_are_those_at_other_frequencies(
    matrix: tuple[tuple[float, float], ...], images: torch.Tensor
) -> None:
    disc, chosen = half_disc(BOX, 0.9 * BOX / 2), torch.tensor(matrix, dtype=torch.float64)
    expected = direct(images, chosen, disc)
    found = image_transform(stretched(images, chosen), disc)
    assert (found - expected).norm() < ERROR * expected.norm()
    # the inverse would be as far away as the stretch is large
    assert (found - direct(images, torch.linalg.inv(chosen), disc)).norm() > 0.3 * expected.norm()


def test_the_identity_and_the_way_back(generator: torch.Generator) -> None:
    axis = torch.arange(BOX) - BOX // 2
    places = 8 * torch.randn(2, 20, 2, generator=generator).clamp(-1.5, 1.5)
    x, y = (torch.exp(-((axis - places[..., i, None]) ** 2) / 8) for i in (0, 1))
    smooth = y.mT @ x
    matrix = torch.tensor(MATRICES[2], dtype=torch.float64)
    same = stretched(smooth, torch.eye(2, dtype=torch.float64))
    back = stretched(stretched(smooth, matrix), torch.linalg.inv(matrix))
    for found in (same, back):
        assert (found - smooth).norm() < ERROR * smooth.norm()


@pytest.mark.parametrize("scale", [0.96, 1.04])
def test_an_edge_does_not_come_in_on_the_other_side(scale: float) -> None:
    """A bright line at the left edge, moved by a pixel over the edge or away from it."""
    image = torch.zeros(1, BOX, BOX)
    image[..., 0] = 1
    found = stretched(image, scale * torch.eye(2, dtype=torch.float64))[0]
    middle = found[BOX // 4 : -BOX // 4]
    assert float(middle[:, -4:].abs().max()) < 0.1
    assert (float(middle[:, :3].max()) > 0.5) == (scale < 1)


@pytest.mark.parametrize("level", [0.0, 100.0])
def test_what_is_not_known_is_background(level: float) -> None:
    """An image that shrinks has a rim of its background, whatever it is, without a step that would be signal."""
    axis = torch.arange(BOX) - BOX // 2
    particle = 10 * torch.exp(-(axis**2 + axis[:, None] ** 2) / 32)
    found = stretched((level + particle)[None], 0.9 * torch.eye(2, dtype=torch.float64))[0]
    rim = torch.cat([found[:3].flatten(), found[-3:].flatten(), found[:, :3].flatten()])
    torch.testing.assert_close(rim, torch.full_like(rim, level), rtol=0, atol=0.01)
    torch.testing.assert_close(found.sum() - level * BOX**2, particle.sum(), rtol=1e-3, atol=0)


def test_each_image_is_stretched_by_itself(generator: torch.Generator) -> None:
    images = torch.randn(70, BOX, BOX, generator=generator)
    matrix = torch.tensor(MATRICES[2], dtype=torch.float64)
    together = stretched(images, matrix)
    torch.testing.assert_close(together[[0, 69]], stretched(images[[0, 69]], matrix))
