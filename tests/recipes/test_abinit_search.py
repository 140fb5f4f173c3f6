"""What the steps of the search assume and take: mini-batches, resolution, noise, mixing; and the random starts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cryorbit.inference.running_noise import ResidualSums
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.search_noise import assumed_noise
from cryorbit.recipes.abinit.search_schedule import mini_batch, mixing, search_radius, searched_volumes
from cryorbit.recipes.abinit.state import AbinitState, Searched
from cryorbit.recipes.presets import read_preset

DATASET: Any = SimpleNamespace(extent=350.0, box=64, diameter=250.0, order=torch.arange(1000))


def configured(classes: int = 1, **search: Any) -> AbinitConfig:
    return AbinitConfig(particles=Path("p.star"), output=Path("o"), classes=classes, search=search)


def printed(classes: int = 1) -> AbinitConfig:
    return configured(classes, **read_preset("abinit", AbinitConfig, "cryosparc2017")["search"])


def sizes(config: AbinitConfig, *numbers: int) -> list[int]:
    return [len(mini_batch(config, DATASET, 0, n)) for n in numbers]


@pytest.mark.parametrize("classes", [1, 3])
def test_the_printed_batches_are_30_and_from_20_angstrom_on_100_for_each_class(classes: int) -> None:
    config = printed(classes)
    radii = [search_radius(config, DATASET, n) for n in range(1000)]
    assert radii[0] == pytest.approx(10.0)
    change = next(n for n, radius in enumerate(radii) if 350 / radius <= 20)
    assert 200 < change < 800, "on the way"
    assert sizes(config, 0, change - 1, change, 999) == [30 * classes, 30 * classes, 100 * classes, 100 * classes]


def test_by_default_batches_grow_linearly_and_there_is_one_volume() -> None:
    assert sizes(configured(3), 0, 59) == [90, 150]
    assert sizes(configured(3, volumes="classes"), 0, 59) == [270, 450]
    assert [searched_volumes(configured(3)), searched_volumes(configured(3, volumes="classes"))] == [1, 3]


def test_no_batch_has_more_than_all_images_and_none_is_used_twice_before_all_were() -> None:
    config = configured(20, volumes="classes")
    assert sizes(config, 0) == [1000]
    epoch = torch.cat([mini_batch(configured(batch_first=100, batch_last=100), DATASET, 0, n) for n in range(10)])
    assert epoch.sort().values.tolist() == list(range(1000))


def test_classes_are_mixed_for_a_third_of_the_search() -> None:
    config = configured(2, iterations=1000, class_mixing=0.2)
    assert [mixing(config, n) for n in (0, 300, 325, 350, 999)] == pytest.approx([0.2, 0.2, 0.1, 0.0, 0.0])
    assert mixing(printed(2), 0) == 0


def state(iteration: int, residuals: ResidualSums | None = None) -> AbinitState:
    searched = None if residuals is None else Searched((), 1.0, residuals)
    noise = torch.tensor([4.0, 2.0, 1.0])
    return AbinitState(0, "search", iteration, torch.zeros(1, 4, 4, 4), noise, 10.0, searched=searched)


def test_the_noise_of_the_background_is_inflated_until_enough_images_were_seen() -> None:
    """A half of the inflation is left after a thousand images: a step has 120 on average."""
    factors = [
        float((assumed_noise(configured(), DATASET, state(n)) / state(n).noise_variance).mean()) for n in (0, 25)
    ]
    assert factors == pytest.approx([2.0, 1 + 1 / (1 + 25 * 120 / 1000)])
    stepwise = configured(batch_first=30, batch_last=100, batch_last_from=1.0)
    found = assumed_noise(stepwise, DATASET, state(50)) / state(50).noise_variance
    assert found.tolist() == pytest.approx([1 + 1 / (1 + 1500 / 1000)] * 3)


def test_the_printed_noise_is_white_eight_times_inflated_and_learns_from_residuals() -> None:
    # the mean over the disc: shells of radius 1 and 2, twice as much area in the second
    background = (1 * 2.0 + 2 * 1.0) / 3
    first = assumed_noise(printed(), DATASET, state(0))
    assert first.tolist() == pytest.approx([background * (50 + 2500 * 8) / 2550] * 3)
    sums = ResidualSums(torch.tensor([0.0, 15.0, 10.0]), torch.tensor([0.0, 45.0, 20.0]), 1)
    inflated = 2500 * 0.9999
    by_hand = [
        (residual + (50 + 8 * inflated) * background) / (weight + 50 + inflated)
        for weight, residual in ((0.0, 0.0), (15.0, 45.0), (10.0, 20.0))
    ]
    assert assumed_noise(printed(), DATASET, state(1, sums)).tolist() == pytest.approx(by_hand)
