"""When growth searches all poses anew, and when what it has found serves again."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cryorbit.inference.candidates import Candidates, by_image
from cryorbit.recipes.abinit import passes
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.state import AbinitState

CONFIG = AbinitConfig(particles=Path("p.star"), output=Path("o"))
BATCH = torch.arange(500)
SAMPLE = CONFIG.grow.check_images


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each search over all poses looked at; every search finds the identity."""
    calls: list[int] = []

    def find(*given: Any) -> Candidates:
        calls.append(len(given[-1]))
        return cells(len(given[-1]))

    monkeypatch.setattr(passes, "find_cells", find)
    return calls


def cells(images: int) -> Candidates:
    identity = torch.eye(3).expand(images, 3, 3)
    return Candidates(torch.arange(images), torch.zeros(images, dtype=torch.long), identity, torch.zeros(images, 2))


def state(*, fresh: bool, turned: bool = False) -> AbinitState:
    """A state after a pass whose orientations are those that a search finds, or half a turn away."""
    rotation = torch.diag(torch.tensor([-1.0, -1.0, 1.0])) if turned else torch.eye(3)
    volume = torch.zeros(1, 4, 4, 4)
    plain = AbinitState(0, "grow", 3, volume, torch.ones(3), 2.0)
    klass = torch.zeros(len(BATCH), dtype=torch.long)
    estimates: Any = SimpleNamespace(rotation=rotation.expand(len(BATCH), 3, 3), klass=klass)
    return replace(plain, cells=cells(len(BATCH)), estimates=estimates, fresh_cells=fresh)


@pytest.mark.parametrize(
    ("before", "stands", "looked_at", "fresh"),
    [
        pytest.param(state(fresh=True, turned=True), True, [], False, id="a search serves one more pass"),
        pytest.param(state(fresh=True), False, [SAMPLE], False, id="the radius grew, orientations hold"),
        pytest.param(state(fresh=False), True, [SAMPLE], False, id="served twice, orientations hold"),
        pytest.param(state(fresh=False, turned=True), True, [SAMPLE, 500], True, id="served twice, they moved"),
        pytest.param(replace(state(fresh=True), cells=None), True, [500], True, id="nothing was found yet"),
    ],
)
def test_all_poses_are_searched_again_when_they_may_have_moved(
    before: AbinitState, stands: bool, looked_at: list[int], fresh: bool, searched: list[int]
) -> None:
    prepared: Any = SimpleNamespace(order=BATCH)
    _, anew = passes.batch_cells(CONFIG, prepared, before, BATCH, stands=stands)
    assert (searched, anew) == (looked_at, fresh)


def test_classes_in_frames_of_their_own_are_compared_each_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate of another class at the orientation of the last pass does not say that the image has stayed."""
    before = state(fresh=False)
    assert before.estimates is not None
    other = SimpleNamespace(rotation=before.estimates.rotation, klass=torch.ones(len(BATCH), dtype=torch.long))

    def find(*given: Any) -> Candidates:
        found = cells(len(given[-1]))
        turned = torch.diag(torch.tensor([-1.0, -1.0, 1.0])).expand_as(found.rotation)
        return by_image([found, replace(found, klass=found.klass + 1, rotation=turned)])

    monkeypatch.setattr(passes, "find_cells", find)
    prepared: Any = SimpleNamespace(order=BATCH)
    for estimates, moved in ((before.estimates, False), (other, True)):
        now: Any = replace(before, estimates=estimates)
        assert passes.batch_cells(CONFIG, prepared, now, BATCH, stands=True)[1] == moved


def test_a_class_that_died_is_started_anew_and_all_poses_are_searched_again() -> None:
    before = replace(state(fresh=True), volume=torch.stack([torch.ones(8, 8, 8), torch.zeros(8, 8, 8)]))
    config = CONFIG.model_copy(update={"classes": 2})
    assert passes._all_alive(config, before, torch.tensor([0.9, 0.1])) is before
    after = passes._all_alive(config, before, torch.tensor([0.995, 0.005]))
    assert after.cells is None
    assert torch.equal(after.volume[0], before.volume[0])
    assert float((after.volume[1] - 1).std()) == pytest.approx(0.1, rel=0.05)
