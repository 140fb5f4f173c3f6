"""Stochastic steps: with all images at full rate they are the M-step of the passes."""

from pathlib import Path

import torch
from abinit_jobs import make_set
from refine_jobs import low_passed_map, refine_config

from cryorbit.fourier.shells import shell_indices
from cryorbit.inference.constraints import windowed
from cryorbit.recipes.dataset import read_dataset
from cryorbit.recipes.refine.e_step import e_step, half_set_rows
from cryorbit.recipes.refine.half_set_oracle import HalfSetOracle, RunningMean
from cryorbit.recipes.refine.passes import joined, maximisation
from cryorbit.recipes.refine.radii import inserted_radius
from cryorbit.recipes.refine.start import begin
from cryorbit.volumes.voxel import resample, working_grid
from phantom_sets import sharp_phantom

COUNT = 100


def test_one_batch_of_all_images_is_the_m_step(tmp_path: Path) -> None:
    make_set(tmp_path, [sharp_phantom(torch.Generator().manual_seed(3))], COUNT, 0.5)
    low_passed_map(tmp_path / "truth_1.mrc", tmp_path / "start.mrc")
    settings = {
        "method": "psgd",
        "poses": {"cells": 4, "angular_spacing": 30.0},
        "sgd": {"batch": COUNT, "settings": {"momentum": 0.0, "decay": 0.0}},
        # what the half-sets share is the mean of their maps here, and of their statistics in the M-step
        "passes": {"join_resolution": 1000.0},
    }
    config = refine_config(tmp_path / "particles.star", tmp_path / "start.mrc", tmp_path / "job", **settings)
    dataset = read_dataset(config)
    state = begin(config, dataset)
    inserted = inserted_radius(state.radius, dataset.box)
    found = e_step(config, dataset, state, inserted, half_set_rows(dataset))
    maps = maximisation(config, dataset, found, inserted, dataset.window(working_grid(dataset.box, inserted).size))
    mask = dataset.window(working_grid(dataset.box, inserted).size)
    mean = RunningMean(None, config.sgd.forgetting)
    oracle = HalfSetOracle(config, dataset, state, half_set_rows(dataset), inserted, maps.fsc, mean, mask)
    volume = resample(state.references, oracle.grid.size)
    step = volume - oracle.evaluate(volume, None).field
    moved = joined(config, dataset, torch.stack([windowed(half, mask) for half in step]))
    beyond = (shell_indices(moved.shape[-1]) > 4).to(moved)
    ours, theirs = (torch.fft.rfftn(volume, dim=(-3, -2, -1)).abs() * beyond for volume in (moved, maps.references))
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-4
