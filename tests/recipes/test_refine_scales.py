"""Contrast of micrographs: the factor that explains the images, kept positive whatever the images say."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.refine.scales import updated_scales

SIZE = 5000
"""Particles of a group, so many that the images of the prior do not count."""


def scales_of(factors: list[float], scale: torch.Tensor | None = None) -> torch.Tensor | None:
    """Contrast of groups of equal size whose images are ``factors`` times the model."""
    group = torch.arange(len(factors)).repeat_interleave(SIZE)
    dataset = cast(Dataset, SimpleNamespace(particles=SimpleNamespace(group=group)))
    found: Any = SimpleNamespace(overlap=torch.tensor(factors)[group], model_power=torch.ones(len(group)))
    contrast = updated_scales(dataset, scale, cast(PoseEstimates, found))
    return None if contrast is None else contrast[::SIZE]


def test_contrast_is_the_factor_that_explains_a_group() -> None:
    found = scales_of([0.5, 1.0, 1.5])
    assert found is not None
    assert found.tolist() == pytest.approx([0.5, 1.0, 1.5], rel=0.01)


@pytest.mark.parametrize("odd", [0.0, -0.5, -3.0])
def test_a_group_that_is_unlike_the_map_keeps_a_little_contrast_and_can_come_back(odd: float) -> None:
    found = scales_of([odd, 1.0, 1.0])
    assert found is not None
    # a fifth of the mean of the three before it is raised, which is 2/3 of the others'
    assert float(found[0] / found[1]) == pytest.approx(0.2 * 2 / 3, rel=0.01)
    assert float(found.mean()) == pytest.approx(1)
    # under a model that faint, images as bright as the others' are this many times brighter than it
    back = scales_of([1 / float(found[0]), 1 / float(found[1]), 1 / float(found[2])], found.repeat_interleave(SIZE))
    assert back is not None
    assert back.tolist() == pytest.approx([1, 1, 1], rel=0.05)


def test_a_map_that_no_group_shows_leaves_contrasts_as_they_are() -> None:
    before = torch.tensor([0.8, 1.2]).repeat_interleave(SIZE)
    assert scales_of([-1.0, -1.0]) is None
    kept = scales_of([-1.0, 0.0], before)
    assert kept is not None
    assert kept.tolist() == pytest.approx([0.8, 1.2])
