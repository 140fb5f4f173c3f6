"""The verdict: starts that agree, starts that do not, and maps that are weak whatever the starts say."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set

from cryorbit.geometry.rotations import euler_to_matrix, random_rotations
from cryorbit.io.job_result import CrossSeed
from cryorbit.recipes.abinit import AbinitConfig
from cryorbit.recipes.abinit.prepare import AbinitDataset, prepare
from cryorbit.recipes.abinit.state import AbinitState, StartOutcome
from cryorbit.recipes.abinit.verdict import compare_starts, judge_maps
from cryorbit.simulate.phantoms import Blobs, blob_volume, random_blobs
from phantom_sets import sharp_phantom

DIAMETER = 96.0
BOX = 32


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> AbinitDataset:
    folder = tmp_path_factory.mktemp("verdict")
    particles = make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], 60, 0.5)
    return prepare(AbinitConfig(particles=particles, output=folder / "job", diameter=DIAMETER))


def state(gain: float = 80.0, held_out: float = 80.0, chosen: int = 0) -> AbinitState:
    volume = torch.zeros(1, 8, 8, 8)
    outcomes = tuple(StartOutcome(seed, volume, 5.0, held_out, torch.ones(1)) for seed in range(3))
    estimates: Any = SimpleNamespace(
        max_probability=torch.full((10,), 0.001),
        log_evidence=torch.full((10,), gain),
        rotation=random_rotations(2000, torch.Generator().manual_seed(0)),
    )
    return AbinitState(chosen, "done", 0, volume, torch.ones(17), 5.0, estimates=estimates, outcomes=outcomes)


def cross(*pairs: tuple[int, int], count: int = 3) -> CrossSeed:
    """Starts of which these pairs agree to 12 A, the others to 50 A."""
    resolution = torch.full((count, count), 50.0, dtype=torch.float64)
    for i, j in (*pairs, *((i, i) for i in range(count))):
        resolution[i, j] = resolution[j, i] = 12.0
    return cross_seed(resolution)


def cross_seed(resolution: torch.Tensor) -> CrossSeed:
    """Starts that agree to these resolutions."""
    count = len(resolution)
    return CrossSeed(tuple(range(count)), rows(resolution), rows(torch.ones_like(resolution)), (0.0,) * count)


def rows(table: torch.Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, table.tolist()))


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (cross((0, 1), (0, 2), (1, 2)), "good"),
        (cross((0, 1)), "doubtful"),
        (cross((1, 2)), "bad"),
        (cross(), "bad"),
        (cross((0, 1), count=2), "good"),
        (cross(count=2), "bad"),
        (None, "doubtful"),
    ],
)
def test_the_level_follows_the_agreement(found: CrossSeed | None, level: str, prepared: AbinitDataset) -> None:
    verdict = judge_maps(prepared, state(), 12.0, found)
    assert verdict.level == level
    assert verdict.sentence
    assert verdict.reasons


@pytest.mark.parametrize(
    ("gain", "held_out", "resolution"), [(-1.0, 80.0, 12.0), (80.0, -1.0, 12.0), (80.0, 80.0, DIAMETER / 5)]
)
@pytest.mark.parametrize("found", [cross((0, 1), (0, 2), (1, 2)), None])
def test_a_weak_map_is_bad_whatever_the_starts_say(
    gain: float, held_out: float, resolution: float, found: CrossSeed | None, prepared: AbinitDataset
) -> None:
    assert judge_maps(prepared, state(gain, held_out), resolution, found).level == "bad"


def test_starts_that_came_to_another_map_are_named(prepared: AbinitDataset) -> None:
    reasons = " ".join(judge_maps(prepared, state(chosen=1), 12.0, cross((1, 2))).reasons)
    assert "2 of 3 starts agree" in reasons
    assert "seeds 0" in reasons


def test_the_resolution_to_which_starts_agree_is_told_and_not_the_bar(prepared: AbinitDataset) -> None:
    """The bar is a sixth of the diameter, 16 A; of three starts that agree, the worst pair counts."""
    resolution = torch.full((3, 3), 12.0)
    resolution[0, 2] = resolution[2, 0] = 14.2
    verdict = judge_maps(prepared, state(), 12.0, cross_seed(resolution))
    assert "agree to 14.2 Å" in verdict.sentence
    assert verdict.reasons[0] == "3 of 3 starts agree to 14.2 Å (agreement to 16.0 Å or better counts as reproducible)"
    apart = judge_maps(prepared, state(), 12.0, cross(count=2)).reasons[0]
    needed = "agreement to 16.0 Å or better counts as reproducible"
    assert apart == f"no other start agrees with the best one: the nearest agrees to 50.0 Å ({needed})"


@pytest.mark.slow
def test_starts_are_superposed_before_they_are_compared(prepared: AbinitDataset) -> None:
    """A map, its mirror image turned on a smaller box, and another map."""
    generator = torch.Generator().manual_seed(4)
    blobs = random_blobs(BOX, generator, 20)
    motion = random_rotations(1, generator)[0] @ torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    maps = [
        blob_volume(blobs, BOX),
        blob_volume(Blobs(0.75 * blobs.centers @ motion.T, 0.75 * blobs.widths, blobs.heights), 24),
        blob_volume(random_blobs(BOX, generator, 20), BOX),
    ]
    outcomes = tuple(
        StartOutcome(5 + number, volume[None], 10.0, -float(number), torch.ones(1))
        for number, volume in enumerate(maps)
    )
    found = compare_starts(prepared, outcomes)
    assert found.seeds == (5, 6, 7)
    assert found.held_out_log_likelihood == (0.0, -1.0, -2.0)
    resolution = torch.tensor(found.resolution_A)
    assert torch.equal(resolution, resolution.T)
    assert float(resolution[0, 1]) < 3 * PIXEL_SIZE
    assert found.correlation[0][1] > 0.95
    assert float(resolution[2, :2].min()) > 5 * PIXEL_SIZE


def test_of_several_classes_the_largest_are_compared(prepared: AbinitDataset) -> None:
    generator = torch.Generator().manual_seed(4)
    first, second = (blob_volume(random_blobs(BOX, generator, 20), BOX) for _ in range(2))
    outcomes = (
        StartOutcome(0, torch.stack([first, second]), 10.0, 0.0, torch.tensor([0.7, 0.3])),
        StartOutcome(1, torch.stack([second, first]), 10.0, 0.0, torch.tensor([0.2, 0.8])),
    )
    assert compare_starts(prepared, outcomes).correlation[0][1] > 0.99


def test_views_of_one_direction_are_a_doubt_that_is_named(prepared: AbinitDataset) -> None:
    """Nine of ten particles lie on one face: starts that agree do not make the map certain."""
    even = state()
    angles = torch.zeros(2000, 3, dtype=torch.float64)
    angles[:, 2] = torch.rand(2000, generator=torch.Generator().manual_seed(1)) * 360
    rotation = euler_to_matrix(angles)
    rotation[:200] = even.estimates.rotation[:200]
    estimates: Any = SimpleNamespace(**{**vars(even.estimates), "rotation": rotation})
    one_sided = replace(even, estimates=estimates)
    agreed = cross((0, 1), (0, 2), (1, 2))
    verdict = judge_maps(prepared, one_sided, 12.0, agreed)
    assert verdict.level == "doubtful"
    assert any("most particles show one view" in reason for reason in verdict.reasons)
    assert not any("one view" in reason for reason in judge_maps(prepared, even, 12.0, agreed).reasons)


def test_uneven_halves_are_a_doubt(prepared: AbinitDataset) -> None:
    uneven = replace(prepared, half_doubt="the half-sets of the input are uneven; fix: draw them anew")
    verdict = judge_maps(uneven, state(), 12.0, cross((0, 1), (0, 2), (1, 2)))
    assert verdict.level == "doubtful"
    assert uneven.half_doubt in verdict.reasons
