"""Where poses are looked for once some are known."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from abinit_jobs import make_set
from refine_jobs import low_passed_map, refine_config

from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.recipes.dataset import read_dataset
from cryorbit.recipes.refine.e_step import half_set_rows
from cryorbit.recipes.refine.passes import pass_iteration
from cryorbit.recipes.refine.pose_candidates import pose_searches
from cryorbit.recipes.refine.start import begin
from phantom_sets import sharp_phantom

FEW_CELLS = {"passes": {"iterations": 2}, "poses": {"cells": 1, "angular_spacing": 60.0, "check_images": 20}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of one phantom, and a start map without detail."""
    folder = tmp_path_factory.mktemp("candidates")
    make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], 120, 0.5)
    low_passed_map(folder / "truth_1.mrc", folder / "start.mrc")
    return folder


def test_a_trial_that_misses_the_best_poses_does_not_doubt_them(folder: Path) -> None:
    """One cell of a coarse grid finds few poses again: that is the grid's fault, not that of the known ones."""
    files = (folder / "particles.star", folder / "start.mrc", folder / "job")
    coarse, careful = refine_config(*files, **FEW_CELLS), refine_config(*files, passes={"iterations": 2})
    dataset = read_dataset(coarse)
    after, _ = pass_iteration(careful, dataset, begin(careful, dataset))
    known = after.estimates
    assert known is not None
    settled = replace(after, estimates=replace(known, elsewhere=torch.zeros_like(known.elsewhere)))
    rows = half_set_rows(dataset)[0]
    (search,) = pose_searches(coarse, dataset, settled, 0, rows)
    assert not search.everywhere
    # poses that are wrong are found out by the same trial where the grid is as fine as it should be
    turned = known.class_rotation @ euler_to_matrix(torch.tensor([0.0, 90.0, 0.0])).to(known.class_rotation)
    wrong = replace(settled, estimates=replace(known, class_rotation=turned, elsewhere=0 * known.elsewhere))
    fine = refine_config(*files, passes={"iterations": 2}, poses={"check_images": 20})
    (search,) = pose_searches(fine, dataset, wrong, 0, rows)
    assert search.everywhere
