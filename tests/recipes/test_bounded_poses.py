"""Branch and bound as refine and abinit use it: every part of a plan can be set, and what was kept is reported."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from abinit_jobs import make_set
from refine_jobs import DIAMETER, low_passed_map, refine_config

from cryorbit.inference.band import band_within
from cryorbit.inference.branch_and_bound import BranchPlan
from cryorbit.inference.pose_bound import BoundSettings
from cryorbit.io.mrc import read_map
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.finish_stage import finish_iteration
from cryorbit.recipes.abinit.prepare import prepare
from cryorbit.recipes.abinit.state import AbinitState
from cryorbit.recipes.bound_settings import BranchSettings
from cryorbit.recipes.bounded_poses import BoundedSearch, branch_plan, pruning_metrics
from cryorbit.recipes.dataset import Dataset, read_dataset
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.e_step import e_step, half_set_rows
from cryorbit.recipes.refine.start import begin
from cryorbit.recipes.refine.state import RefineState
from cryorbit.volumes.voxel import resample, working_grid
from phantom_sets import sharp_phantom

PUBLISHED = BranchSettings(
    grid="axis-angle",
    angular_spacing=24.0,
    shift_step=5.0,
    first_radius=12.0,
    subdivisions=7,
    orientation_cap=1 / 8,
    fewest_shifts=1,
    incumbent="best-cell",
    deviation="published",
    ctf="group",
    cell_reach=0.0,
)
QUICK_BOUND = {"search": "branch-and-bound", "bound": {"angular_spacing": 30.0, "subdivisions": 1}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of one phantom, and a start map without detail."""
    folder = tmp_path_factory.mktemp("bounded")
    make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], 60, 1.0)
    low_passed_map(folder / "truth_1.mrc", folder / "start.mrc")
    return folder


@pytest.fixture(scope="module")
def started(folder: Path) -> tuple[RefineConfig, Dataset, RefineState]:
    """A refinement by branch and bound before its first pass."""
    config = refine_config(folder / "particles.star", folder / "start.mrc", folder / "job", poses=QUICK_BOUND)
    dataset = read_dataset(config)
    return config, dataset, begin(config, dataset)


def plan_of(settings: BranchSettings, started: tuple[RefineConfig, Dataset, RefineState]) -> BranchPlan:
    _, dataset, state = started
    band = band_within(dataset.box, 14.0, state.noise_variance[0])
    volume = resample(state.references[0], band.grid.size)
    return branch_plan(dataset, torch.arange(40), volume, band, BoundedSearch(settings, 15.0, 0.1))


def test_the_published_plan_can_be_set(started: tuple[RefineConfig, Dataset, RefineState]) -> None:
    plan = plan_of(PUBLISHED, started)
    assert plan.bound == BoundSettings(4.0, "published", "group", 0.0)
    assert [s.radius for s in plan.stages(14.0)] == [12.0, *[14.0] * 7]
    assert (plan.grid, plan.first_spacing, plan.first_step) == ("axis-angle", 24.0, 5.0)
    assert (plan.orientation_cap, plan.shift_cap, plan.fewest_shifts) == (1 / 8, 1 / 4, 1)
    assert (plan.incumbent, plan.subdivisions) == ("best-cell", 7)


def test_every_part_of_a_plan_has_a_setting_or_follows_from_the_images() -> None:
    follow = {"final_spacing", "final_step", "shift_extent", "bound"}
    renamed = {"first_spacing": "angular_spacing", "first_step": "shift_step"}
    plan = {renamed.get(f.name, f.name) for f in fields(BranchPlan)} - follow
    assert plan | {f.name for f in fields(BoundSettings)} == set(BranchSettings.model_fields)


def test_what_is_not_set_follows_from_map_and_images(started: tuple[RefineConfig, Dataset, RefineState]) -> None:
    plan, wide = plan_of(BranchSettings(), started), plan_of(BranchSettings(first_radius=40.0), started)
    assert 2 <= plan.first_radius <= 14.0 == wide.first_radius
    assert plan.first_step == pytest.approx(32 / (4 * plan.first_radius))
    assert plan.first_spacing == 15.0
    assert plan.bound == BoundSettings()


def test_a_pass_reports_what_bound_and_caps_kept(started: tuple[RefineConfig, Dataset, RefineState]) -> None:
    config, dataset, state = started
    estep = e_step(config, dataset, state, state.radius, half_set_rows(dataset))
    lines = estep.metrics(dataset, state.radius)["pruning"]
    assert [line["part"] for line in lines] == [1, 1, 2, 2]
    for line in lines:
        assert 0 < line["kept_by_caps"] <= line["kept_by_bound"] <= 1
    assert lines[1]["resolution_A"] == pytest.approx(dataset.extent / state.radius)
    # a search on the grid has nothing of the kind
    assert pruning_metrics(((), ()), dataset.extent) == {}


def test_the_last_pass_of_abinit_by_branch_and_bound(folder: Path) -> None:
    """Under the true map poses explain the images as well as those of the grid search."""
    files = {"particles": folder / "particles.star", "output": folder / "abinit", "diameter": DIAMETER}
    bound = {"angular_spacing": 30.0, "subdivisions": 2}
    volume = resample(read_map(folder / "truth_1.mrc")[0], working_grid(32, 8.0).size)[None]
    metrics = {}
    for search in ("grid", "branch-and-bound"):
        config = AbinitConfig(**files, finish={"search": search, "bound": bound})
        dataset = prepare(config)
        state = AbinitState(0, "finish", 0, volume, dataset.noise_variance, 8.0)
        _, metrics[search] = finish_iteration(config, dataset, state)
    assert "pruning" not in metrics["grid"]
    assert len(metrics["branch-and-bound"]["pruning"]) == 3
    likelihood = {search: each["log_likelihood"] for search, each in metrics.items()}
    assert likelihood["branch-and-bound"] > 0.95 * likelihood["grid"] > 10
