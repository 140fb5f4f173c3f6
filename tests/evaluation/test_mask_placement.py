"""Masks of the outside, and masks beside the particle; masks of a part are welcome."""

import pytest
import torch

from cryorbit.evaluation.mask_placement import covers_the_outside, leaves_out
from cryorbit.imaging.masks import soft_ball

BOX = 48
BALL, CORNER = soft_ball(BOX, 16.0, 3.0), soft_ball(BOX, 5.0, 2.0).roll((18, 18, 18), (0, 1, 2))
SHELL = BALL - soft_ball(BOX, 9.0, 2.0)
WHOLE, FAINT = soft_ball(BOX, 8.0, 2.0), soft_ball(BOX, 3.0, 1.0).roll(14, 0)
"""A particle of a core and a faint part beside it."""
RIGHT = {"ball": BALL, "ones": torch.ones_like(BALL), "core": WHOLE, "faint part": FAINT.roll(0, 0)}
WRONG = {"inverse": 1 - BALL, "corner": CORNER, "inverse of the core": 1 - soft_ball(BOX, 14.0, 2.0)}


@pytest.fixture
def halves(generator: torch.Generator) -> torch.Tensor:
    """Noise of three times the density."""
    return WHOLE + 0.4 * FAINT + 3 * torch.randn(2, BOX, BOX, BOX, generator=generator) * soft_ball(BOX, 23.0, 1.0)


@pytest.mark.parametrize("name", RIGHT)
def test_masks_of_the_particle_or_a_part(name: str, halves: torch.Tensor) -> None:
    particle = WHOLE + 0.4 * FAINT
    assert not covers_the_outside(RIGHT[name])
    assert not leaves_out(RIGHT[name], particle)
    assert not leaves_out(RIGHT[name], particle + halves[0] - particle, halves[1])


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("offset", [0.0, 7.0])
def test_masks_that_leave_it_out(name: str, offset: float) -> None:
    """On any grey scale."""
    particle = WHOLE + offset
    assert covers_the_outside(WRONG[name]) == ("inverse" in name)
    assert leaves_out(WRONG[name], particle)


def test_half_maps_tell_it_through_noise(generator: torch.Generator) -> None:
    halves = WHOLE + torch.randn(2, BOX, BOX, BOX, generator=generator)
    assert leaves_out(1 - BALL, halves[0], halves[1])
    assert not leaves_out(BALL, halves[0], halves[1])


def test_the_inverse_of_a_shell_is_told_by_the_density() -> None:
    """Its middle is covered, as its faces are."""
    assert not covers_the_outside(1 - SHELL)
    assert leaves_out(1 - SHELL, SHELL)
    assert not leaves_out(SHELL, SHELL)
