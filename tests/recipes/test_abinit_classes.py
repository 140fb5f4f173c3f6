"""Several classes, junk among the particles, and point groups, end to end."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set, run_job

from cryorbit.evaluation.align import correlation
from cryorbit.evaluation.classes import class_accuracy
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.evaluation.poses import pose_errors
from cryorbit.geometry.point_groups import point_group
from cryorbit.inference.turned_map import rotated
from cryorbit.io.mrc import read_map
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.simulate.phantoms import Blobs, blob_volume, random_blobs
from phantom_sets import sharp_phantom

pytestmark = pytest.mark.slow

SYMMETRIC = 0.85
"""Symmetry score that tells a map with the symmetry from one without."""


def column(path: Path, label: str) -> torch.Tensor:
    return torch.tensor(read_star(path)["particles"][label].tolist())


def test_two_classes_are_told_apart(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(8)
    common, first, second = (sharp_phantom(generator, count) for count in (24, 4, 4))
    volumes = [common + first, common + second]
    particles = make_set(tmp_path, volumes, 600, 0.5, fractions=(0.6, 0.4))
    job, result = run_job(particles, tmp_path / "job", classes=2, classify={"iterations": 5})
    sizes = [found.particles for found in result.classes]
    assert sum(sizes) == 600
    assert sum(found.fraction for found in result.classes) == pytest.approx(1)
    predicted = column(job.path / "particles.star", "rlnClassNumber")
    assert torch.bincount(predicted, minlength=3)[1:].tolist() == sizes
    assert class_accuracy(predicted, column(tmp_path / "truth.star", "rlnClassNumber")) > 0.9
    for number in (1, 2):
        truth, _ = read_map(tmp_path / f"truth_{number}.mrc")
        found, _ = read_map(job.path / f"class_{number}.mrc")
        assert compare_maps(found, truth, PIXEL_SIZE).resolution(0.5) < 17


def test_junk_is_seen_by_its_likelihood(tmp_path: Path) -> None:
    """A fifth of the images hold nothing: the map does not mind, and they fit it worst."""
    particles = make_set(tmp_path, [sharp_phantom(torch.Generator().manual_seed(3))], 600, 0.5, junk=0.2)
    job, _ = run_job(particles, tmp_path / "job")
    truth, _ = read_map(tmp_path / "truth_1.mrc")
    found, _ = read_map(job.path / "class_1.mrc")
    # junk is averaged into the only class there is: it costs detail, not the map
    assert compare_maps(found, truth, PIXEL_SIZE).resolution(0.5) < 20
    junk = column(tmp_path / "truth.star", "rlnClassNumber") == 0
    likelihood = column(job.path / "particles.star", "rlnLogLikeliContribution")
    better = (likelihood[~junk][:, None] > likelihood[junk]).float().mean()
    assert float(better) > 0.98


@pytest.mark.parametrize("symbol", ["C4", "D2"])
def test_symmetry_is_found_and_imposed(symbol: str, tmp_path: Path) -> None:
    group = point_group(symbol)
    unit = replace(random_blobs(32, torch.Generator().manual_seed(5), 7), widths=torch.full((7,), 1.15))
    copies = torch.cat([unit.centers @ operator.T for operator in group])
    blobs = Blobs(copies, unit.widths.repeat(len(group)), unit.heights.repeat(len(group)))
    particles = make_set(tmp_path, [blob_volume(blobs, 32)], 400, 0.5)
    job, result = run_job(particles, tmp_path / "job", symmetry=symbol)
    assert result.symmetry_scores[0] > SYMMETRIC
    assert result.symmetry == symbol
    assert (job.path / "class_1_c1.mrc").exists()
    found, _ = read_map(job.path / "class_1.mrc")
    for operator in group[1:]:
        assert correlation(found, rotated(found, operator.float())) > 0.97
    truth, _ = read_map(tmp_path / "truth_1.mrc")
    assert compare_maps(found, truth, PIXEL_SIZE).resolution(0.5) < 14
    ours, true = (read_particles(path).poses for path in (job.path / "particles.star", tmp_path / "truth.star"))
    assert ours is not None
    assert true is not None
    assert pose_errors(ours, true, PIXEL_SIZE, group).summary()["angle_median_deg"] < 6


def test_symmetry_that_is_not_there_scores_low(tmp_path: Path) -> None:
    particles = make_set(tmp_path, [sharp_phantom(torch.Generator().manual_seed(3))], 400, 0.5)
    job, result = run_job(particles, tmp_path / "job", symmetry="C4", grow={"iterations": 2})
    assert not (job.path / "class_1_c1.mrc").exists()
    assert result.symmetry_scores[0] < SYMMETRIC
    # particles that no start saw fit the symmetric map worse: the job ends with the C1 map and says so
    trial = result.symmetry_trial
    assert trial is not None
    assert not trial.imposed
    assert trial.held_out is not None
    assert trial.held_out_c1 is not None
    assert trial.held_out < trial.held_out_c1
    assert result.symmetry == "C1"
    assert any("C4 symmetry not imposed" in reason for reason in result.verdict.reasons)
