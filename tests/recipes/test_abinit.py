"""Ab initio reconstruction end to end: a good map and poses, every file, columns kept, a verdict to be believed."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from abinit_jobs import PIXEL_SIZE, SHORTEST, StopsAfter, make_set, run_job

from cryorbit.core.progress import Stopped
from cryorbit.evaluation.align import correlation
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.evaluation.poses import pose_errors
from cryorbit.fourier.shells import shell_indices
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import read_map
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.abinit import AbinitResult
from phantom_sets import sharp_phantom

COUNT = 600
RECORDED = ("iteration", "stage", "seed", "seconds")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of one phantom, with half-sets and a column of their own."""
    folder = tmp_path_factory.mktemp("abinit")
    particles = make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], COUNT, 0.5)
    tables = read_star(particles)
    tables["particles"]["rlnRandomSubset"] = [1 + row // 20 % 2 for row in range(COUNT)]
    tables["particles"]["rlnAutopickFigureOfMerit"] = [row / 7 for row in range(COUNT)]
    write_star(particles, tables)
    return folder


@pytest.fixture(scope="module")
def finished(folder: Path) -> tuple[JobFolder, AbinitResult]:
    """A job of two starts beside its particles."""
    return run_job(folder / "particles.star", folder / "job", seed=2, seeds=2)


@pytest.mark.slow
def test_map_and_poses_are_the_truth(folder: Path, finished: tuple[JobFolder, AbinitResult]) -> None:
    job, result = finished
    reference, _ = read_map(folder / "truth_1.mrc")
    volume, pixel_size = read_map(job.path / "class_1.mrc")
    assert pixel_size == pytest.approx(PIXEL_SIZE)
    assert volume.shape == reference.shape
    comparison = compare_maps(volume, reference, PIXEL_SIZE)
    assert comparison.resolution(0.5) < 14.5
    # the grey scale is the images' own
    aligned = comparison.alignment.aligned
    assert float((aligned * reference).sum() / reference.square().sum()) == pytest.approx(1, abs=0.1)
    ours, true = (read_particles(path).poses for path in (job.path / "particles.star", folder / "truth.star"))
    assert ours is not None
    assert true is not None
    errors = pose_errors(ours, true, PIXEL_SIZE).summary()
    assert errors["angle_median_deg"] < 5
    assert errors["angle_p90_deg"] < 12
    assert errors["shift_median_A"] < 1.5
    assert 60 <= result.diameter_A <= 110


@pytest.mark.slow
def test_every_file_is_there_and_readable(finished: tuple[JobFolder, AbinitResult]) -> None:
    job, result = finished
    names = {path.name for path in job.path.iterdir()}
    assert names == {
        *("job.json", "metrics.jsonl", "log.txt", "checkpoint", "particles.star", "set_aside.star", "seeds.json"),
        *("class_1.mrc", "class_1_half1_unfil.mrc", "class_1_half2_unfil.mrc", "mask_1.mrc"),
        *("fsc_class_1.star", "fsc_class_1.xml", "fsc_class_1.csv"),
    }
    mask, _ = read_map(job.path / "mask_1.mrc")
    assert float(mask.min()) >= 0
    assert float(mask.max()) <= 1
    volume, _ = read_map(job.path / "class_1.mrc")
    assert float((volume * mask).square().sum() / volume.square().sum()) > 0.9
    halves = [read_map(job.path / f"class_1_half{half}_unfil.mrc")[0] for half in (1, 2)]
    curve = fsc_curve(*halves, PIXEL_SIZE)
    assert resolution_at(curve, 0.143) == pytest.approx(result.classes[0].resolution_A, rel=1e-3)
    table = read_star(job.path / "fsc_class_1.star")
    assert any("rlnFourierShellCorrelationUnmaskedMaps" in block for block in table.values())
    record = job.read()
    assert record["status"] == "finished"
    assert record["result"]["verdict"]["level"] == result.verdict.level
    assert record["result"]["particles"] == {"used": COUNT, "set_aside": 0}
    lines = job.read_metrics()
    assert all(set(RECORDED) <= set(line) for line in lines)
    assert [line["stage"] for line in lines].count("search") == 2 * 40
    assert {line["stage"] for line in lines} == {"search", "grow", "judge", "symmetrise", "finish"}


@pytest.mark.slow
def test_growth_ends_with_two_passes_at_one_radius(finished: tuple[JobFolder, AbinitResult]) -> None:
    """Or where its passes are used up: a likelihood at another radius says nothing of what was gained."""
    lines = [line for line in finished[0].read_metrics() if line["stage"] == "grow"]
    for seed in (2, 3):
        resolution = [line["resolution_A"] for line in lines if line["seed"] == seed]
        assert len(resolution) == 4 or resolution[-1] == resolution[-2]


@pytest.mark.slow
def test_particles_keep_their_columns_and_half_sets(folder: Path, finished: tuple[JobFolder, AbinitResult]) -> None:
    given = read_star(folder / "particles.star")
    found = read_star(finished[0].path / "particles.star")
    assert found["optics"].equals(given["optics"])
    kept = list(given["particles"])
    assert list(found["particles"])[: len(kept)] == kept
    assert found["particles"][kept].equals(given["particles"])
    posterior = found["particles"]["rlnMaxValueProbDistribution"]
    assert bool(((posterior > 0) & (posterior <= 1 + 1e-4)).all())
    assert set(found["particles"]["rlnClassNumber"]) == {1}
    assert (found["particles"]["rlnLogLikeliContribution"] > 0).mean() > 0.99


@pytest.mark.slow
def test_starts_that_agree_make_a_good_verdict(finished: tuple[JobFolder, AbinitResult]) -> None:
    job, result = finished
    assert result.verdict.level == "good"
    seeds = json.loads((job.path / "seeds.json").read_text())
    assert seeds["seeds"] == [2, 3]
    assert seeds["resolution_A"][0][1] == seeds["resolution_A"][1][0] < result.diameter_A / 6
    assert seeds["correlation"][0][1] > 0.9
    assert len(seeds["held_out_log_likelihood"]) == 2
    assert abs(seeds["held_out_log_likelihood"][0] - seeds["held_out_log_likelihood"][1]) < 10


@pytest.mark.slow
@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_reconstruct") is None, reason="relion_reconstruct is not installed")
def test_relion_makes_the_same_map_of_the_particles(folder: Path, finished: tuple[JobFolder, AbinitResult]) -> None:
    job, result = finished
    command = ["relion_reconstruct", "--i", "job/particles.star", "--o", "relion.mrc", "--ctf"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    mask, _ = read_map(job.path / "mask_1.mrc")
    ours, theirs = (
        low_passed(read_map(path)[0], result.classes[0].resolution_A)
        for path in (job.path / "class_1.mrc", folder / "relion.mrc")
    )
    assert correlation(ours, theirs, mask) > 0.95


def low_passed(volume: torch.Tensor, resolution: float) -> torch.Tensor:
    """The map to a resolution in A, without its mean."""
    box = volume.shape[-1]
    shells = shell_indices(box)
    keep = (shells <= box * PIXEL_SIZE / resolution) & (shells > 0)
    return torch.fft.irfftn(torch.fft.rfftn(volume) * keep, s=volume.shape)


@pytest.mark.slow
def test_noise_makes_a_bad_verdict(tmp_path: Path) -> None:
    particles = make_set(tmp_path, [sharp_phantom(torch.Generator().manual_seed(3))], 300, 1e-6)
    _, result = run_job(particles, tmp_path / "job", search={"iterations": 15}, grow={"iterations": 2})
    assert result.verdict.level == "bad"


@pytest.mark.slow
def test_a_job_stopped_again_and_again_ends_the_same(folder: Path, tmp_path: Path) -> None:
    particles = folder / "particles.star"
    straight, expected = run_job(particles, tmp_path / "straight", **SHORTEST, classes=2)
    stopped = tmp_path / "stopped"
    stops = 0
    while True:
        try:
            job, result = run_job(particles, stopped, StopsAfter(2), **SHORTEST, classes=2)
            break
        except Stopped:
            stops += 1
            assert JobFolder.open(stopped).read()["status"] == "stopped"
    assert stops >= 4
    assert result == expected
    for name in ("class_1.mrc", "class_2.mrc", "particles.star"):
        assert (job.path / name).read_bytes() == (straight.path / name).read_bytes()


@pytest.mark.slow
@pytest.mark.gpu
def test_a_gpu_does_as_well_as_a_cpu(folder: Path, finished: tuple[JobFolder, AbinitResult], tmp_path: Path) -> None:
    """The same search in another arithmetic: not the same bits, but as good a map and as good poses."""
    job, result = run_job(folder / "particles.star", tmp_path / "gpu", device="cuda", seeds=2)
    assert result.verdict.level == finished[1].verdict.level
    reference, _ = read_map(folder / "truth_1.mrc")
    true = read_particles(folder / "truth.star").poses
    assert true is not None
    resolutions, medians = [], []
    for path in (job.path, finished[0].path):
        volume, _ = read_map(path / "class_1.mrc")
        resolutions.append(compare_maps(volume, reference, PIXEL_SIZE).resolution(0.5))
        poses = read_particles(path / "particles.star").poses
        assert poses is not None
        medians.append(float(pose_errors(poses, true, PIXEL_SIZE).angle_deg.median()))
    assert resolutions[0] < 1.1 * resolutions[1]
    assert medians[0] < 1.3 * medians[1]
