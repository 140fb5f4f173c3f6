"""Maps that were masked before, and maps that only look so."""

import pytest
import torch

from cryorbit.evaluation.masked_before import masked_before
from cryorbit.imaging.masks import soft_ball

BOX = 32


@pytest.mark.parametrize(("radius", "masked"), [(0.3, True), (0.37, True), (0.5, False)])
def test_a_mask_within_the_ball_in_the_box_is_seen(radius: float, masked: bool, generator: torch.Generator) -> None:
    """A ball that fills the box, outside which many programs write nothing, is no mask around a particle."""
    volume = torch.randn(BOX, BOX, BOX, generator=generator) * soft_ball(BOX, radius * BOX, 2)
    assert masked_before(volume) == masked
    assert not masked_before(torch.randn(BOX, BOX, BOX, generator=generator))


def test_whole_grey_values_are_no_mask(generator: torch.Generator) -> None:
    blob = 100 * soft_ball(BOX, 5, 8)
    assert not masked_before((blob + 0.1 * torch.randn(BOX, BOX, BOX, generator=generator)).round())
