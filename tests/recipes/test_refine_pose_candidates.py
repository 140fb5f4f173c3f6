"""Where poses are looked for once some are known."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from abinit_jobs import make_set
from refine_jobs import low_passed_map, refine_config

from cryorbit.recipes.dataset import read_dataset
from cryorbit.recipes.refine.e_step import e_step, half_set_rows
from cryorbit.recipes.refine.passes import pass_iteration
from cryorbit.recipes.refine.pose_candidates import pose_searches
from cryorbit.recipes.refine.start import begin
from phantom_sets import sharp_phantom

FEW_CELLS = {"passes": {"iterations": 2}, "poses": {"cells": 1, "angular_spacing": 60.0, "check_images": 40}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of one phantom, and a start map without detail."""
    folder = tmp_path_factory.mktemp("candidates")
    make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], 120, 0.5)
    low_passed_map(folder / "truth_1.mrc", folder / "start.mrc")
    return folder


def test_known_poses_stay_in_a_search_over_all(folder: Path) -> None:
    """One cell of a coarse grid misses most poses: those of the last search are found again, and it is likelier."""
    coarse = refine_config(folder / "particles.star", folder / "start.mrc", folder / "job", **FEW_CELLS)
    careful = refine_config(folder / "particles.star", folder / "start.mrc", folder / "job", passes={"iterations": 2})
    dataset = read_dataset(coarse)
    after, _ = pass_iteration(careful, dataset, begin(careful, dataset))
    assert after.estimates is not None
    # nobody is sure of any pose, so that all are searched again
    unsure = replace(after, estimates=replace(after.estimates, elsewhere=torch.ones(len(dataset.half_set))))
    rows = half_set_rows(dataset)
    (search,) = pose_searches(coarse, dataset, unsure, 0, rows[0])
    assert search.everywhere
    for image, known in enumerate(after.estimates.class_rotation[rows[0], 0]):
        mine = search.cells.rotation[search.cells.image == image]
        assert len(mine) == 2
        assert any(torch.equal(each, known) for each in mine)
    again, anew = (
        e_step(coarse, dataset, each, after.radius, rows) for each in (unsure, replace(after, estimates=None))
    )
    assert again.log_likelihood > anew.log_likelihood + 1
