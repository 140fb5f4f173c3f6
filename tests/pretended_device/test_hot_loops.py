"""The hot loops on a pretended card: nothing mixes devices, and a batch has few launches and waits.

A budget is what a batch takes today, a little rounded. Who needs more raises it here, and says why.
"""

import math
from dataclasses import replace

import pytest
import torch

from cryorbit.core import memory
from cryorbit.core.errors import InputError
from cryorbit.inference import reconstruction
from hot_loops import LOOPS, Problem
from pretended_card import NAME, Counts, PretendedCard

BATCHES = {
    "search step": (0, 40),
    "grid scores": (0, 40),
    "refined poses": (64, 128),
    "reconstruction": (40, 80),
    "branch and bound": (0, 20),
}
"""Images of two runs whose difference is a batch of the loop; a run of no images is none."""
BUDGETS = {
    "search step": (300, 5, 8),
    "grid scores": (270, 6, 8),
    "refined poses": (350, 16, 10),
    "reconstruction": (110, 1, 2),
    "branch and bound": (1580, 118, 40),
}
"""Launches, waits and uploads of a batch where kernels are fused."""
REFERENCE_LAUNCHES = {"search step": 520, "grid scores": 370, "refined poses": 850}
"""Launches of a batch in plain torch."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or all images would be in one batch."""
    monkeypatch.setattr(reconstruction, "BATCH", 40)
    monkeypatch.setattr(memory, "MORE_ON_CARD", 1)


def batch(loop: str, problem: Problem, *, fused: bool) -> Counts:
    """What one batch takes."""
    counted = []
    with PretendedCard(fused=fused) as card:
        for images in BATCHES[loop]:
            with card.counting() as counts:
                if images:
                    LOOPS[loop](problem.on(NAME, images))
            counted.append(counts)
    return counted[1] - counted[0]


@pytest.mark.parametrize("loop", BUDGETS)
def test_a_batch_keeps_to_its_budget(loop: str, problem: Problem) -> None:
    counts = batch(loop, problem, fused=True)
    launches, waits, uploads = BUDGETS[loop]
    assert 0.7 * launches < counts.launches <= launches
    assert sum(counts.waits.values()) <= waits, counts.waits
    assert sum(counts.uploads.values()) <= uploads, counts.uploads


@pytest.mark.parametrize("loop", REFERENCE_LAUNCHES)
def test_a_batch_in_plain_torch_keeps_to_its_budget(loop: str, problem: Problem) -> None:
    assert 0.7 < batch(loop, problem, fused=False).launches / REFERENCE_LAUNCHES[loop] <= 1


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("loop", ["search step", "refined poses", "reconstruction"])
def test_results_are_those_of_the_cpu(loop: str, problem: Problem, fused: bool) -> None:
    expected = LOOPS[loop](problem)
    with PretendedCard(fused=fused):
        found = LOOPS[loop](problem.on(NAME)).cpu()
    found, expected = found.double(), expected.double()
    # of plain torch and the compiled kernels, which round differently: poses of nearly equal scores may change places
    assert (found - expected).norm() < 0.02 * expected.norm()
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(("loop", "images", "largest"), [("refined poses", 130, 5e5), ("branch and bound", 10, 2e6)])
def test_batches_that_do_not_fit_the_card_give_the_same_result(
    loop: str, images: int, largest: float, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MORE_ON_CARD", images)
    # the sums of a pass, which all batches share, are smaller than the images of one
    coarse, results, launches = replace(problem, radius=5.0), [], []
    for bytes_of_array in (math.inf, largest):
        with PretendedCard(fused=True, largest=bytes_of_array) as card:
            results.append(LOOPS[loop](coarse.on(NAME, images)).cpu())
        launches.append(card.counts.launches)
    # numbers of the same images in other batches, where sums of floating-point numbers round differently
    whole, halves = (each.double() for each in results)
    assert (whole - halves).norm() < 1e-5 * whole.norm()
    assert launches[1] > 1.5 * launches[0]


def test_sums_that_were_begun_are_not_added_to_again(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("cryorbit.volumes.voxel.add_exact_slices", full)
    with PretendedCard(fused=True), pytest.raises(InputError, match="memory of the GPU is full"):
        LOOPS["refined poses"](problem.on(NAME))
