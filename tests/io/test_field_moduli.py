"""Moduli that are kept of images tell which overlap, whatever the size of the box."""

import pytest
import torch

from cryorbit.io.field_moduli import KEPT, field_moduli, likeness
from cryorbit.io.shifted_copies import CANDIDATE

COUNT = 40


@pytest.mark.parametrize("box", [32, 64, 90, 128])
@pytest.mark.parametrize("direction", [(1, 0), (0.7, 0.7)])
def test_images_that_overlap_are_alike_and_others_are_not(
    generator: torch.Generator, box: int, direction: tuple[float, float]
) -> None:
    fields = torch.randn(COUNT, box + 16, box + 16, generator=generator)
    y, x = (int(0.1 * box * part) for part in direction)
    moved = torch.cat([fields[:, :box, :box], fields[:, y : y + box, x : x + box]])
    moduli = field_moduli(moved)
    assert moduli.dtype == torch.uint8
    assert moduli.shape[1] <= KEPT
    alike = likeness(moduli.float())
    assert float(alike.diagonal(COUNT).median()) > 0.5
    assert float((alike.diagonal(COUNT) > CANDIDATE).double().mean()) > 0.9
    others = alike[:COUNT, :COUNT][tuple(torch.triu_indices(COUNT, COUNT, 1))]
    assert float((others > CANDIDATE).double().mean()) < 0.05
    assert float(others.median().abs()) < 0.05


def test_grey_values_do_not_matter(generator: torch.Generator) -> None:
    images = torch.randn(COUNT, 64, 64, generator=generator)
    alike = likeness(torch.cat([field_moduli(images), field_moduli(7 - 300 * images)]).float())
    assert float(alike.diagonal(COUNT).min()) > 0.99


def test_what_is_no_image_is_like_none() -> None:
    images = torch.stack([torch.zeros(64, 64), torch.full((64, 64), torch.nan)])
    assert not field_moduli(images).any()
    assert not likeness(field_moduli(images).float()).any()


@pytest.mark.parametrize("box", [1, 2, 3, 4])
def test_tiny_images_tell_little_or_nothing(generator: torch.Generator, box: int) -> None:
    assert field_moduli(torch.randn(3, box, box, generator=generator)).shape[1] <= box**2
