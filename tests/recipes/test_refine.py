"""Refinement end to end: what true poses reach, honest half-maps, every file, symmetry, masks, classes, the hand."""

import io
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set
from refine_jobs import ONE_PASS, low_passed_map, refined
from rich.console import Console

from cryorbit.cli.summary import print_summary
from cryorbit.core.progress import SilentProgress
from cryorbit.evaluation.classes import class_accuracy
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.evaluation.fsc import fourier_shell_correlation, fsc_curve, resolution_at
from cryorbit.evaluation.poses import pose_errors
from cryorbit.fourier.half_disc import half_disc, image_from_transform, image_transform
from cryorbit.geometry.point_groups import point_group
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.masks import soft_ball
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import read_header, read_map, write_map
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes import reconstruct
from cryorbit.recipes.refine.outputs import RefineResult
from cryorbit.recipes.refine.radii import inserted_radius
from phantom_sets import sharp_phantom, write_source

pytestmark = pytest.mark.slow

COUNT, BOX = 240, 32
JOIN_SHELL = int(BOX * PIXEL_SIZE / 20.0)
Finished = tuple[JobFolder, RefineResult]


def phantom(seed: int = 3) -> torch.Tensor:
    return sharp_phantom(torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of one phantom with half-sets and a column of their own, and a start map without detail."""
    folder = tmp_path_factory.mktemp("refine")
    particles = make_set(folder, [phantom()], COUNT, 0.5)
    tables = read_star(particles)
    tables["particles"]["rlnRandomSubset"] = [1 + row // 20 % 2 for row in range(COUNT)]
    tables["particles"]["rlnAutopickFigureOfMerit"] = [row / 7 for row in range(COUNT)]
    write_star(particles, tables)
    low_passed_map(folder / "truth_1.mrc", folder / "start.mrc")
    return folder


@pytest.fixture(scope="module", params=["em", "psgd"])
def finished(request: pytest.FixtureRequest, folder: Path) -> Finished:
    """A job beside its particles."""
    settings = {"poses": {"cells": 6, "check_images": 40}, "sgd": {"iterations": 3}}
    return refined(
        folder / "particles.star", folder / "start.mrc", folder / request.param, method=request.param, **settings
    )


@pytest.fixture(scope="module")
def short(folder: Path) -> Finished:
    """A job of one pass and the last one."""
    return refined(folder / "particles.star", folder / "start.mrc", folder / "short", method="em", **ONE_PASS)


def true_map(folder: Path) -> torch.Tensor:
    return read_map(folder / "truth_1.mrc")[0]


def final_map(job: JobFolder) -> torch.Tensor:
    return read_map(job.path / "map.mrc")[0]


def half_maps(job: JobFolder) -> list[torch.Tensor]:
    return [read_map(job.path / f"map_half{half}_unfil.mrc")[0] for half in (1, 2)]


def resolution(job: JobFolder, truth: torch.Tensor) -> float:
    """Resolution of the map against the truth, A."""
    return resolution_at(fsc_curve(final_map(job), truth, PIXEL_SIZE), 0.5)


def test_map_and_poses_come_near_what_true_poses_give(folder: Path, finished: Finished) -> None:
    job, _ = finished
    output = folder / f"true_poses_{job.path.name}"
    known = JobFolder.create(output, verb="reconstruct", config={}, inputs=[])
    config = reconstruct.ReconstructConfig(particles=folder / "truth.star", output=output, diameter=100.0)
    reconstruct.run(config, known, SilentProgress())
    comparison = compare_maps(final_map(job), true_map(folder), PIXEL_SIZE)
    assert not comparison.alignment.hand_flipped
    assert comparison.resolution(0.5) < 1.2 * resolution(known, true_map(folder))
    assert comparison.resolution(0.5) < 15.5
    ours, true = (read_particles(path).poses for path in (job.path / "particles.star", folder / "truth.star"))
    assert ours is not None
    assert true is not None
    errors = pose_errors(ours, true, PIXEL_SIZE).summary()
    assert errors["angle_median_deg"] < 4.5
    assert errors["angle_p90_deg"] < 9
    assert errors["shift_median_A"] < 1.2


def test_half_maps_do_not_claim_what_is_not_true(folder: Path, finished: Finished) -> None:
    """Half-maps that correlate by 0.143 make a map that correlates with the truth by a half; 0.4 leaves room."""
    job, result = finished
    curve = compare_maps(final_map(job), true_map(folder), PIXEL_SIZE).fsc
    claimed = result.classes[0].resolution_A
    assert claimed == pytest.approx(resolution_at(fsc_curve(*half_maps(job), PIXEL_SIZE), 0.143), rel=1e-3)
    assert claimed < 18
    within = curve.frequency_per_A <= 1 / claimed
    assert float(curve.correlation[within][1:].min()) >= 0.4


def test_every_file_is_there_and_readable(finished: Finished) -> None:
    job, result = finished
    assert {path.name for path in job.path.iterdir()} == {
        *("job.json", "metrics.jsonl", "log.txt", "checkpoint", "particles.star", "set_aside.star"),
        *("map.mrc", "map_half1_unfil.mrc", "map_half2_unfil.mrc", "mask.mrc", "fsc.star", "fsc.xml", "fsc.csv"),
        *("noise.csv", "scales.csv", "angdist.bild"),
    }
    volume, pixel_size = read_map(job.path / "map.mrc")
    assert pixel_size == pytest.approx(PIXEL_SIZE)
    assert volume.shape == (BOX, BOX, BOX)
    mask, _ = read_map(job.path / "mask.mrc")
    assert (float(mask.min()), float(mask.max())) == pytest.approx((0.0, 1.0), abs=1e-6)
    noise = pd.read_csv(job.path / "noise.csv")
    assert len(noise) == BOX // 2 + 1
    # white noise of unit variance
    assert noise[["half1", "half2"]].to_numpy() == pytest.approx(1.0, abs=0.2)
    record = job.read()
    assert record["status"] == "finished"
    assert record["result"]["particles"] == {"used": COUNT, "set_aside": 0}
    assert record["result"]["classes"][0]["resolution_masked_A"] <= result.classes[0].resolution_A
    assert record["result"]["start"][0]["magnification"] == 1
    curve = pd.read_csv(job.path / "fsc.csv")["corrected"]
    assert curve[curve > 0].index.max() >= BOX * PIXEL_SIZE / record["result"]["classes"][0]["resolution_masked_A"] - 1


def test_the_verdict_is_in_the_record_and_on_the_screen(finished: Finished) -> None:
    job, result = finished
    verdict = job.read()["result"]["verdict"]
    screen = Console(width=200, record=True, file=io.StringIO())
    print_summary(job.read(), job.path, screen)
    shown = " ".join(screen.export_text().split())
    assert verdict["sentence"] in shown
    assert f"{result.classes[0].resolution_masked_A:.2f} Å (FSC 0.143, within the mask)" in verdict["sentence"]
    assert all(" ".join(reason.split()) in shown for reason in verdict["reasons"])


def test_metrics_follow_the_stages(finished: Finished) -> None:
    job, _ = finished
    lines = job.read_metrics()
    stages = [line["stage"] for line in lines]
    first = {"em": [], "psgd": ["sgd"] * stages.count("sgd")}[job.path.name]
    scored = [line["resolution_A"] for line in lines]
    last = scored[len(first) + stages.count("pass") - 1]
    # a pass that has inserted as far out as a last one would is the last one
    done = inserted_radius(BOX * PIXEL_SIZE / last, BOX) >= BOX / 2 - 1
    assert stages == first + ["pass"] * stages.count("pass") + ([] if done else ["final"])
    assert bool(first) == (job.path.name == "psgd")
    # poses are scored ever finer, and what the half-maps resolve is written beside it
    assert scored == sorted(scored, reverse=True)
    assert scored[0] == pytest.approx(30.0)
    assert all(10 <= line["resolved_A"] <= 160 for line in lines)


def test_a_last_pass_goes_as_far_out_as_the_maps(short: Finished) -> None:
    job, _ = short
    assert [line["stage"] for line in job.read_metrics()] == ["pass", "final"]


def test_particles_keep_their_columns_and_half_sets(folder: Path, finished: Finished) -> None:
    given = read_star(folder / "particles.star")
    found = read_star(finished[0].path / "particles.star")
    assert found["optics"].equals(given["optics"])
    kept = list(given["particles"])
    assert list(found["particles"])[: len(kept)] == kept
    assert found["particles"][kept].equals(given["particles"])
    posterior = found["particles"]["rlnMaxValueProbDistribution"]
    assert bool(((posterior > 0) & (posterior <= 1 + 1e-4)).all())
    assert set(found["particles"]["rlnClassNumber"]) == {1}


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_reconstruct") is None, reason="relion_reconstruct is not installed")
def test_relion_makes_the_same_half_maps_of_the_best_poses(tmp_path: Path) -> None:
    particles = make_set(tmp_path, [phantom()], 900, 0.5)
    low_passed_map(tmp_path / "truth_1.mrc", tmp_path / "start.mrc")
    settings = {**ONE_PASS, "poses": {**ONE_PASS["poses"], "assignment": "best"}}
    job, result = refined(particles, tmp_path / "start.mrc", tmp_path / "job", **settings)
    theirs = []
    for half in ("1", "2"):
        command = ["relion_reconstruct", "--i", "job/particles.star", "--o", "relion.mrc", "--ctf", "--subset", half]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        theirs.append(read_map(tmp_path / "relion.mrc")[0])
    ours, shells = half_maps(job), slice(1, int(BOX * PIXEL_SIZE / result.classes[0].resolution_A) + 1)
    # RELION smooths its weights by iteration, which shows where slices are sparse
    for mine, relions in zip(ours, theirs, strict=True):
        assert float(fourier_shell_correlation(mine, relions)[shells].min()) > 0.95
    between, relions_between = (fourier_shell_correlation(*halves) for halves in (ours, theirs))
    assert float((between - relions_between)[shells].abs().max()) < 0.02


def test_noise_does_not_make_half_maps_agree_beyond_what_they_share(folder: Path, tmp_path: Path) -> None:
    """Both half-sets align noise to the same start; beyond the resolution that they share, nothing may agree."""
    particles = make_set(tmp_path, [phantom()], 160, 1e-6)
    settings = {**ONE_PASS, "passes": {"iterations": 2}, "check_start": False}
    job, result = refined(particles, folder / "start.mrc", tmp_path / "job", **settings)
    beyond = fourier_shell_correlation(*half_maps(job))[JOIN_SHELL + 2 : BOX // 2 - 1]
    assert float(beyond.max()) < 0.143
    assert result.classes[0].resolution_A > BOX * PIXEL_SIZE / (JOIN_SHELL + 2)
    assert result.start[0].lead_over_noise < 4


def test_a_mirrored_start_makes_the_mirrored_map(folder: Path, tmp_path: Path, short: Finished) -> None:
    """As good a map: no image tells the hand."""
    start, _ = read_map(folder / "start.mrc")
    write_map(tmp_path / "mirrored.mrc", mirrored(start), PIXEL_SIZE)
    job, _ = refined(folder / "particles.star", tmp_path / "mirrored.mrc", tmp_path / "job", **ONE_PASS)
    truth = true_map(folder)
    assert resolution(job, mirrored(truth)) == pytest.approx(resolution(short[0], truth), rel=0.05)
    assert resolution(job, truth) > 1.5 * resolution(job, mirrored(truth))


def mirrored(volume: torch.Tensor) -> torch.Tensor:
    """The mirror image in the plane z = 0 through the centre voxel."""
    return volume.flip(0).roll(1, 0)


def test_premultiplied_images_make_the_same_map(folder: Path, tmp_path: Path, short: Finished) -> None:
    particles = read_particles(folder / "particles.star")
    disc = half_disc(BOX, BOX / 2)
    transform = image_transform(particles.images.read(torch.arange(COUNT)), disc)
    ctf = ctf_values(particles.ctf, disc.frequencies / (BOX * PIXEL_SIZE))
    write_source(tmp_path / "particles.mrcs", image_from_transform(ctf * transform, disc), particles.ctf, PIXEL_SIZE)
    tables = read_star(folder / "particles.star")
    tables["optics"]["rlnCtfDataAreCtfPremultiplied"] = 1
    write_star(tmp_path / "premultiplied.star", tables)
    job, _ = refined(tmp_path / "premultiplied.star", folder / "start.mrc", tmp_path / "job", **ONE_PASS)
    truth = true_map(folder)
    assert resolution(job, truth) == pytest.approx(resolution(short[0], truth), rel=0.05)
    assert float(fourier_shell_correlation(final_map(job), final_map(short[0]))[1:9].min()) > 0.97


def test_the_users_mask_is_used(folder: Path, tmp_path: Path, short: Finished) -> None:
    mask = soft_ball(BOX, 5.0, 2.0)
    write_map(tmp_path / "mask.mrc", mask, PIXEL_SIZE)
    settings = {**ONE_PASS, "mask": tmp_path / "mask.mrc"}
    job, _ = refined(folder / "particles.star", folder / "start.mrc", tmp_path / "job", **settings)
    assert torch.equal(read_map(job.path / "mask.mrc")[0], mask)
    outside = mask == 0
    # the map was masked on its working box, from which it is interpolated
    assert float(final_map(job)[outside].abs().max()) < 0.02 * float(final_map(job).max())
    assert float(final_map(short[0])[outside].abs().max()) > 0.2 * float(final_map(short[0]).max())
    assert all(float(half[outside].abs().max()) > 0.05 * float(half.max()) for half in half_maps(job))


def test_poses_are_never_scored_beyond_the_finest_resolution_asked_for(folder: Path, tmp_path: Path) -> None:
    settings = {**ONE_PASS, "passes": {"iterations": 2}, "max_resolution": 22.0, "method": "em"}
    job, result = refined(folder / "particles.star", folder / "start.mrc", tmp_path / "job", **settings)
    scored = [line["resolution_A"] for line in job.read_metrics()]
    assert scored == pytest.approx([30.0, 22.0])
    # images are inserted further out: half-maps may show more than was scored, but no more than was inserted
    assert result.classes[0].resolution_A < 20
    extent = BOX * PIXEL_SIZE
    held = extent / (1.4 * extent / 22.0 + 4)
    assert read_header(job.path / "map_half1_unfil.mrc").holds_to_A == pytest.approx(held, abs=1e-3)
    assert min(result.classes[0].resolution_A, result.classes[0].resolution_masked_A) >= held


def test_symmetry_is_imposed_on_map_and_poses(tmp_path: Path) -> None:
    volume = 0.5 * (phantom(4) + half_turn(phantom(4)))
    particles = make_set(tmp_path, [volume], 120, 0.5)
    job, _ = refined(particles, tmp_path / "truth_1.mrc", tmp_path / "job", symmetry="C2", **ONE_PASS)
    found = final_map(job)
    assert float((found - half_turn(found)).norm() / found.norm()) < 0.02
    assert resolution(job, true_map(tmp_path)) < 17
    ours, true = (read_particles(path).poses for path in (job.path / "particles.star", tmp_path / "truth.star"))
    assert ours is not None
    assert true is not None
    assert float(pose_errors(ours, true, PIXEL_SIZE, point_group("C2")).angle_deg.median()) < 6


def half_turn(volume: torch.Tensor) -> torch.Tensor:
    """The volume turned by 180 degrees about the z axis through the centre voxel."""
    return volume.flip((1, 2)).roll((1, 1), (1, 2))


def test_several_start_maps_are_classes(tmp_path: Path) -> None:
    make_set(tmp_path, [phantom(3), phantom(5)], 160, 0.5)
    starts = [tmp_path / "truth_1.mrc", tmp_path / "truth_2.mrc"]
    job, result = refined(tmp_path / "particles.star", starts, tmp_path / "job", **ONE_PASS)
    assert [item.map for item in result.classes] == ["class_1.mrc", "class_2.mrc"]
    found, true = (
        torch.tensor(read_star(path)["particles"]["rlnClassNumber"].tolist())
        for path in (job.path / "particles.star", tmp_path / "truth.star")
    )
    assert class_accuracy(found - 1, true - 1) > 0.95
    assert sum(item.particles for item in result.classes) == 160
    for number in (1, 2):
        volume, truth = (read_map(path)[0] for path in (job.path / f"class_{number}.mrc", starts[number - 1]))
        assert float(fourier_shell_correlation(volume, truth)[1:7].min()) > 0.9


def test_contrasts_of_groups_that_are_alike_stay_near_one(short: Finished) -> None:
    scales = pd.read_csv(short[0].path / "scales.csv")
    assert scales["particles"].sum() == COUNT
    assert (scales["scale"] * scales["particles"]).sum() / COUNT == pytest.approx(1, abs=1e-4)
    assert scales["scale"].between(0.8, 1.2).all()
