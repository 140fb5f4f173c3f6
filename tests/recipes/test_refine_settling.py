"""When passes end, and how fast the radius of their scores grows."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.passes import next_radius
from cryorbit.recipes.refine.settling import best_likelihood, stands_still, widened
from cryorbit.recipes.refine.state import RefineState

CONFIG = RefineConfig(particles=Path("p.star"), output=Path("o"), maps=(Path("m.mrc"),))
GIVEN: Any = SimpleNamespace(box=100, source=SimpleNamespace(pixel_size=2.0))


def state(radius: float = 20.0) -> RefineState:
    """A state whose last pass was scored to 20 shells, resolved 25 and explained the images by 30 nats."""
    maps, noise = torch.zeros(2, 1, 4, 4, 4), torch.ones(2, 51)
    return RefineState("pass", 3, maps, noise, radius, resolved=25.0, posed_radius=20.0, best_likelihood=30.0)


@pytest.mark.parametrize(
    ("radius", "resolved", "likelihood", "still"),
    [
        pytest.param(20.0, 25.0, 30.06, True, id="a gain of a fifth of a percent"),
        pytest.param(20.0, 24.0, 29.0, True, id="a loss"),
        pytest.param(20.0, 25.0, 30.3, False, id="a gain of one percent"),
        pytest.param(20.0, 26.0, 30.0, False, id="finer half-maps"),
        pytest.param(21.0, 24.0, 28.0, False, id="scores reach further out, their sums do not compare"),
    ],
)
def test_a_pass_without_any_gain_stands_still(radius: float, resolved: float, likelihood: float, still: bool) -> None:
    before = state(radius)
    assert (
        stands_still(CONFIG, before, resolved, likelihood, at_new_radius=widened(before.posed_radius, radius)) is still
    )


def test_radius_grows_by_steps_whatever_half_maps_say() -> None:
    assert next_radius(CONFIG, GIVEN, state(), 48.0) == pytest.approx(1.4 * 20)


def test_radius_is_a_margin_beyond_what_is_resolved_and_never_shrinks() -> None:
    assert next_radius(CONFIG, GIVEN, state(), 21.0) == pytest.approx(24)
    assert next_radius(CONFIG, GIVEN, state(), 5.0) == 20
    assert next_radius(CONFIG, GIVEN, state(40.0), 60.0) == 49


def test_likelihoods_of_one_radius_are_held_against_the_best() -> None:
    assert best_likelihood(CONFIG, state(), 29.95) == 30.0
    assert best_likelihood(CONFIG, state(), 31.0) == 31.0
    assert best_likelihood(CONFIG, state(21.0), 29.0) == 29.0


def test_what_rises_after_a_fall_has_not_come_to_its_end() -> None:
    """A pass that fell back by three percent, and one that has won back one of them."""
    fallen = replace(state(), best_likelihood=best_likelihood(CONFIG, state(), 29.0))
    assert stands_still(CONFIG, state(), 25.0, 29.0, at_new_radius=False)
    assert not stands_still(CONFIG, fallen, 25.0, 29.3, at_new_radius=False)
    assert stands_still(CONFIG, fallen, 25.0, 28.7, at_new_radius=False)
