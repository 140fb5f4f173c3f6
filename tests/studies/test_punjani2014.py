"""The seven optimisers in small: data whose observations fit the truth, tables, figures, and where methods end."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cryorbit.core.progress import SilentProgress
from cryorbit.fourier.half_disc import half_disc
from cryorbit.imaging.slices import SliceOperator
from cryorbit.inference.pose_quadrature import ShiftPrior
from cryorbit.studies import ReproduceConfig, find_reproduction
from cryorbit.studies.punjani2014 import run
from cryorbit.studies.punjani2014.contenders import CONTENDERS
from cryorbit.studies.punjani2014.data import BOX, DATA_SETS, SNR, simulate
from cryorbit.studies.punjani2014.run import Scale
from cryorbit.studies.punjani2014.summary import resolved
from cryorbit.volumes.voxel import resample, working_grid


def test_images_have_the_stated_signal_and_noise(generator: torch.Generator) -> None:
    data = replace(DATA_SETS[0], radius=12.0)
    observations, disc = simulate(data, 400, generator)
    # noise has a power of 2 in these units; the signal is fitted to what the CTF lets through
    seen = observations.weight / 2
    signal = ((observations.power - 2) * seen).sum(0) / seen.square().sum(0)
    assert float(signal.sum()) / BOX**2 == pytest.approx(SNR, rel=0.1)
    faint = observations.power[observations.weight < 0.005]
    assert float(faint.mean()) == pytest.approx(2, abs=0.1)
    assert len(disc) == len(half_disc(BOX, 12.0))


def test_simulated_slices_are_those_of_the_true_density(generator: torch.Generator) -> None:
    data = replace(DATA_SETS[1], radius=5.0, shift=ShiftPrior(0.0))
    from cryorbit.geometry.rotations import random_rotations
    from cryorbit.studies.punjani2014.data import _projections

    rotations = random_rotations(20, generator)
    found, _ = _projections(data, rotations)
    grid, disc = working_grid(BOX, 8.0), half_disc(BOX, 5.0)
    density = resample(data.truth(), grid.size)
    slices = SliceOperator(grid, disc, rotations.float()).project(density)
    overlap = (slices.conj() * found).sum().real / (slices.norm() * found.norm())
    assert float(overlap) > 0.999


@pytest.mark.slow
def test_stochastic_and_batch_methods_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tuple(replace(data, radius=3.0) for data in DATA_SETS[:1])
    monkeypatch.setattr(run, "DATA_SETS", small)
    chosen = [each for each in CONTENDERS if each.method in {"sgd", "em", "projection-matching"}]
    monkeypatch.setattr(run, "CONTENDERS", chosen)
    monkeypatch.setattr(run, "SCALES", {"quick": Scale(400, 2.0, 3, 1.5)})
    config = ReproduceConfig(name="punjani2014", output=tmp_path)
    files = find_reproduction("punjani2014").run(config, SilentProgress())
    assert {file.name for file in files} == {
        *("courses.csv", "courses.md", "table.csv", "table.md", "figure_3.png", "figure_4_cylinder.png")
    }
    assert all(file.stat().st_size > 100 for file in files)
    with (tmp_path / "table.csv").open() as stream:
        rows = {row["method"]: row for row in csv.DictReader(stream)}
    assert list(rows) == [contender.name for contender in chosen]
    starts = {row["start"] for row in rows.values()}
    assert len(starts) == 1
    for name in ("SGD", "batch EM"):
        assert float(rows[name]["end"]) < float(rows[name]["start"]) - 0.3, name
    assert min(float(row["gap"]) for row in rows.values()) == 0


def test_the_last_shell_resolved_is_the_one_before_the_first_fall() -> None:
    assert resolved(torch.tensor([0.1, 0.9, 0.6, 0.4, 0.8])) == 2
    assert resolved(torch.tensor([1.0, 0.9, 0.6])) == 2
    assert resolved(torch.tensor([1.0, 0.2, 0.6])) == 0
