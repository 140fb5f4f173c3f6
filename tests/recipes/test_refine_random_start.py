"""Refinements without a starting map: half-sets begin apart, meet in one frame and hand, and failures are named."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set
from refine_jobs import DIAMETER, refine_config, refined
from test_abinit import StopsAfter

from cryorbit.core.errors import InputError
from cryorbit.core.progress import SilentProgress, Stopped
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.evaluation.rigid_motion import mirror, move_map
from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import rotvec_to_matrix
from cryorbit.imaging.masks import soft_ball
from cryorbit.inference.copies import copies_agreement
from cryorbit.inference.turned_map import rotated
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import read_map
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.dataset import Dataset, read_dataset
from cryorbit.recipes.refine import RefineConfig, run
from cryorbit.recipes.refine.ball import ball_of
from cryorbit.recipes.refine.half_set_start import HalfSetStart, half_set_alone, make_start
from cryorbit.recipes.refine.random_start import failures, superpose
from cryorbit.recipes.refine.state import RandomStart
from phantom_sets import sharp_phantom

BOX, COUNT = 32, 240
ENOUGH = 600
"""Images of which random starts come to the map; of `COUNT` images some do not."""
SHORTEST: dict[str, Any] = {
    "diameter": DIAMETER,
    "method": "psgd",
    "check_start": False,
    "max_resolution": 15.0,
    "random_start": {
        "search": {"iterations": 2, "longest": 1.0, "batch_first": 20, "batch_last": 30, "angular_spacing": 30.0}
    },
    "sgd": {"iterations": 2, "batch": 20, "patience": 9, "ambiguous": 0.0},
    "passes": {"iterations": 1},
    "poses": {"cells": 2, "angular_spacing": 30.0, "check_images": 10},
}
"""Settings with which every stage is passed through, and no map is to be expected."""
WHOLE: dict[str, Any] = {
    "random_start": {"search": {"iterations": 60, "longest": 1.5, "batch_first": 60, "batch_last": 100}},
    "poses": {"cells": 6, "check_images": 40},
}


def phantom(seed: int = 3) -> torch.Tensor:
    return sharp_phantom(torch.Generator().manual_seed(seed))


def config_of(folder: Path, **changes: Any) -> RefineConfig:
    return RefineConfig(particles=folder / "particles.star", output=folder / "job", **{**SHORTEST, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of one phantom with half-sets."""
    folder = tmp_path_factory.mktemp("random_start")
    make_set(folder, [phantom()], COUNT, 0.5)
    halves(folder, lambda row: 1 + row // 20 % 2)
    return folder


def halves(folder: Path, half_set: Any) -> None:
    """State the half-set of each row."""
    tables = read_star(folder / "particles.star")
    tables["particles"]["rlnRandomSubset"] = [half_set(row) for row in range(len(tables["particles"]))]
    write_star(folder / "particles.star", tables)


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return read_dataset(config_of(folder))


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_second_map_comes_into_the_frame_and_hand_of_the_first(dataset: Dataset, mirrored: bool) -> None:
    first = phantom()
    turn = rotvec_to_matrix(torch.tensor([0.9, -1.7, 0.4], dtype=torch.float64))
    second = move_map(first, turn, torch.tensor([1.5, -2.0, 0.7], dtype=torch.float64), mirrored=mirrored)
    found = superpose(dataset, (first, second))
    assert found.mirrored == mirrored
    assert found.resolution_A < 1.3 * 2 * PIXEL_SIZE
    # which the mirror image of the phantom is not
    assert compare_without_hand(mirror(first), first) > 2 * found.resolution_A


def compare_without_hand(a: torch.Tensor, b: torch.Tensor) -> float:
    """Resolution to which maps agree as they lie."""
    return resolution_at(fsc_curve(a, b, PIXEL_SIZE), 0.5)


@pytest.mark.slow
def test_symmetric_maps_end_on_the_axes_of_the_group(dataset: Dataset) -> None:
    group = point_group("D2")
    symmetric = torch.stack([rotated(phantom(), operator.float()) for operator in group]).mean(0)
    turns = [rotvec_to_matrix(torch.tensor(each, dtype=torch.float64)) for each in ([0.9, -1.7, 0.4], [0.2, 0.5, 2.0])]
    nowhere = torch.zeros(3, dtype=torch.float64)
    maps = (move_map(symmetric, turns[0], nowhere), move_map(symmetric, turns[1], nowhere, mirrored=True))
    found = superpose(replace(dataset, symmetry=group), maps)
    assert compare_without_hand(*found.maps) < 3 * PIXEL_SIZE
    agreement = copies_agreement(*found.maps, group, dataset.particle_radius(BOX))
    assert agreement is not None
    assert agreement > 0.9


def test_a_ball_is_what_all_directions_share() -> None:
    volume = torch.stack([phantom(3), phantom(4)])
    ball = ball_of(volume)
    assert float((ball - volume).norm() / volume.norm()) > 0.3
    torch.testing.assert_close(ball_of(ball), ball)
    # the same in all directions of the axes, and of the same mass
    torch.testing.assert_close(ball[0], ball[0].permute(2, 0, 1))
    torch.testing.assert_close(ball[0], mirror(ball[0]))
    torch.testing.assert_close(ball.sum((1, 2, 3)), volume.sum((1, 2, 3)), rtol=1e-4, atol=1e-2)
    soft = soft_ball(BOX, 8.0, 0.01)
    torch.testing.assert_close(ball_of(soft[None])[0], soft, atol=0.6, rtol=0)


def test_half_sets_train_and_judge_on_particles_of_their_own(folder: Path, dataset: Dataset) -> None:
    config = config_of(folder, random_start={**SHORTEST["random_start"], "held_out": 0.2})
    alone = [half_set_alone(config, dataset, half) for half in range(2)]
    for half, mine in enumerate(alone):
        used = torch.cat([mine.order, mine.held_out])
        assert used.sort().values.tolist() == torch.nonzero(dataset.half_set == half)[:, 0].tolist()
        assert len(mine.held_out) == COUNT // 10
        # two parts of the same size, whose correlation tells how far the resolution may grow
        assert int(mine.half_set[mine.order].sum()) == len(mine.order) // 2
        assert mine.operators is None


def started(config: RefineConfig, dataset: Dataset, number: int, output: Path) -> HalfSetStart:
    """The end of a random start."""
    job = JobFolder.create(output, verb="refine", config=config.model_dump(mode="json"))
    return make_start(config, dataset, number, job, SilentProgress())


def test_a_start_knows_no_image_of_the_other_half_set(folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    """Images of the other half-set in another order change no bit of it, those of its own do."""
    config = config_of(folder)
    theirs = torch.nonzero(dataset.half_set == 1)[:, 0]
    order = torch.arange(COUNT)
    order[theirs] = theirs.flip(0)
    changed = replace(dataset, source=replace(dataset.source, images=dataset.particles.subset(order).images))
    starts = [
        [started(config, each, number, tmp_path / f"{name}_{number}") for number in range(2)]
        for name, each in (("first", dataset), ("second", changed))
    ]
    assert torch.equal(starts[0][0].volume, starts[1][0].volume)
    assert not torch.equal(starts[0][1].volume, starts[1][1].volume)
    assert starts[0][0].held_out == starts[1][0].held_out


def test_a_mask_without_a_map_is_refused_before_images_are_read(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no mask fits it"):
        refined(folder / "particles.star", (), tmp_path / "job", mask=folder / "truth_1.mrc")


def test_failed_starts_are_named() -> None:
    sound = RandomStart(agreement_A=12.0, needed_A=20.0, lead_over_ball=(9.0, 8.0))
    assert failures(sound) == []
    assert failures(replace(sound, lead_over_ball=(math.nan, math.nan))) == []
    (alike,) = failures(replace(sound, lead_over_ball=(9.0, 1.0)))
    assert "half-set 2 fit its map no better than a ball" in alike
    (apart,) = failures(replace(sound, agreement_A=30.0))
    assert "different maps, which agree to 30.0 Å" in apart


@pytest.mark.slow
def test_random_starts_come_to_the_map_and_its_halves_to_one_hand(tmp_path: Path) -> None:
    make_set(tmp_path, [phantom()], ENOUGH, 0.5)
    halves(tmp_path, lambda row: 1 + row // 20 % 2)
    job, result = refined(tmp_path / "particles.star", (), tmp_path / "job", **WHOLE)
    truth = read_map(tmp_path / "truth_1.mrc")[0]
    assert compare_maps(read_map(job.path / "map.mrc")[0], truth, PIXEL_SIZE).resolution(0.5) < 14
    half_maps = (read_map(job.path / f"map_half{half}_unfil.mrc")[0] for half in (1, 2))
    assert compare_without_hand(*half_maps) < 18
    assert result.random_start is not None
    assert result.random_start.agreement_A < result.random_start.needed_A
    assert min(result.random_start.lead_over_ball) > 4
    assert any("random starts led the half-sets to the same map" in reason for reason in result.verdict.reasons)
    stages = [line["stage"] for line in job.read_metrics()]
    assert stages.index("search") < stages.index("steps") < stages.index("judge") < stages.index("sgd")
    assert not list(job.path.glob("checkpoint/part_*"))


@pytest.mark.slow
def test_half_sets_of_different_particles_are_refused(tmp_path: Path) -> None:
    make_set(tmp_path, [phantom(3), phantom(8)], ENOUGH, 0.5)
    truth = read_star(tmp_path / "truth.star")["particles"]["rlnClassNumber"]
    halves(tmp_path, lambda row: int(truth[row]))
    with pytest.raises(InputError, match="the half-sets came to different maps") as refused:
        refined(tmp_path / "particles.star", (), tmp_path / "job", **WHOLE)
    assert "random_start.starts" in str(refused.value.fix)
    # the folder is free for another try
    assert not list(tmp_path.glob("job/checkpoint/part_*"))


SAME = ("map.mrc", "map_half1_unfil.mrc", "map_half2_unfil.mrc", "particles.star", "noise.csv")


def without_seconds(job: JobFolder) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if "seconds" not in k} for line in job.read_metrics()]


@pytest.mark.slow
def test_a_job_stopped_after_every_iteration_ends_with_the_bytes_of_the_undisturbed_one(
    folder: Path, tmp_path: Path
) -> None:
    straight, expected = refined(folder / "particles.star", (), tmp_path / "straight", **SHORTEST)
    lines, stops, result = without_seconds(straight), 0, None
    assert [line["stage"] for line in lines[:5]] == ["search", "search", "steps", "steps", "judge"]
    while result is None:
        try:
            job, result = refined(folder / "particles.star", (), tmp_path / "stopped", StopsAfter(1), **SHORTEST)
        except Stopped:
            stops += 1
    # the end of a start is followed by the first iteration of the next
    assert stops >= len(lines) - 3
    assert result == expected
    assert without_seconds(job) == lines
    for name in SAME:
        assert (job.path / name).read_bytes() == (straight.path / name).read_bytes(), name


@pytest.mark.slow
def test_a_job_that_is_to_finish_now_takes_the_starts_as_far_as_they_have_come(folder: Path, tmp_path: Path) -> None:
    particles, output = folder / "particles.star", tmp_path / "job"
    # the first half-set has begun, the second has not
    with pytest.raises(Stopped):
        refined(particles, (), output, StopsAfter(3), **SHORTEST)
    with pytest.raises(InputError, match="no start of half-set 2 has begun"):
        finished_now(particles, output)
    with pytest.raises(Stopped):
        refined(particles, (), output, StopsAfter(3), **SHORTEST)
    job = finished_now(particles, output)
    stages = [line["stage"] for line in job.read_metrics()]
    assert stages == ["search", "search", "steps", "steps", "judge", "search", "judge", "final"]
    assert (job.path / "map.mrc").exists()


def finished_now(particles: Path, output: Path) -> JobFolder:
    """The job with what it has come to."""
    job = replace(JobFolder.open(output), finish_now=True)
    run(refine_config(particles, (), output, **SHORTEST), job, SilentProgress())
    return job
