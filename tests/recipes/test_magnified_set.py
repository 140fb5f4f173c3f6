"""Particles of a microscope that stretches images by 2 % along y: where the table states it, no detail is lost."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set

from cryorbit.core.progress import SilentProgress
from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.imaging.ctf import ctf_values
from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.io.mrc import read_map
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.dataset import read_dataset
from cryorbit.recipes.particle_files import write_particle_files
from cryorbit.recipes.reconstruct import ReconstructConfig, run
from cryorbit.report.fitted_images import read_fitted
from cryorbit.simulate.phantoms import blob_volume, random_blobs
from cryorbit.simulate.projection import prepare_map, project
from small_sets import write_stack

LABELS = ("rlnMagMat00", "rlnMagMat01", "rlnMagMat10", "rlnMagMat11")
COUNT, BOX, DIAMETER = 300, 64, 230.0
MATRIX = torch.tensor([[0.999, 0.004], [0.003, 0.975]], dtype=torch.float64)
"""Nothing is enlarged: the simulator's projections end at Nyquist."""
MATRICES = {"right": MATRIX, "inverse": torch.linalg.inv(MATRIX), "none": torch.eye(2, dtype=torch.float64)}


def stretched_images(particles: Particles, volume: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Images whose transforms at ``k`` are those of projections, CTF included, at ``matrix @ k``, moved by origins."""
    assert particles.poses is not None
    rotations = particles.poses.rotations.clone()
    # a slice samples the volume at (kx, ky, 0) times R, so a stretch of (kx, ky) is one of the first two rows
    rotations[:, :2] = matrix.T @ rotations[:, :2]
    frequency = torch.fft.fftfreq(BOX, dtype=torch.float64)
    plane = torch.stack(torch.broadcast_tensors(frequency, frequency[:, None]), -1).flatten(0, 1)
    angle = 2 * torch.pi * particles.poses.shifts @ plane.mT
    transfer = ctf_values(particles.ctf, plane @ matrix.T / PIXEL_SIZE) * torch.polar(torch.ones_like(angle), angle)
    spectrum = torch.fft.fft2(project(prepare_map(volume), rotations)) * transfer.unflatten(-1, (BOX, BOX))
    return torch.fft.ifft2(spectrum).real.float()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same particles in the same noise twice: ``plain.star``, and ``stretched.star`` without a word of it."""
    folder = tmp_path_factory.mktemp("magnified")
    blobs = random_blobs(BOX, torch.Generator().manual_seed(3), 60)
    volume = blob_volume(replace(blobs, widths=torch.full_like(blobs.widths, 0.9)), BOX)
    make_set(folder, [volume], COUNT, 1.0, shift_sigma=6.0)
    tables = read_star(folder / "truth.star")
    particles = read_particles(folder / "truth.star")
    noise = torch.randn(COUNT, BOX, BOX, generator=torch.Generator().manual_seed(1))
    for name, matrix in (("plain", MATRICES["none"]), ("stretched", MATRIX)):
        clean = stretched_images(particles, volume, matrix)
        write_stack(folder / f"{name}.mrcs", (clean / clean.std() + noise).numpy(), PIXEL_SIZE)
        tables["particles"]["rlnImageName"] = [f"{row + 1:06d}@{name}.mrcs" for row in range(COUNT)]
        write_star(folder / f"{name}.star", tables)
    return folder


def stated(folder: Path, name: str, matrix: torch.Tensor) -> Path:
    """The table of that name, with a matrix."""
    tables = read_star(folder / f"{name}.star")
    tables["optics"] = tables["optics"].assign(**dict(zip(LABELS, matrix.flatten().tolist(), strict=True)))
    write_star(folder / "stated.star", tables)
    return folder / "stated.star"


def resolution_against_truth(folder: Path, name: str, matrix: torch.Tensor, output: Path) -> float:
    """Resolution, A, to which the map of a table that states a matrix correlates with the true map by 0.5."""
    config = ReconstructConfig(particles=stated(folder, name, matrix), output=output, diameter=DIAMETER)
    job = JobFolder.create(output, verb="reconstruct", config=config.model_dump(mode="json"), inputs=[config.particles])
    with running(job):
        run(config, job, SilentProgress())
    truth, volume = read_map(folder / "truth_1.mrc")[0], read_map(output / "map.mrc")[0]
    return resolution_at(fsc_curve(volume, truth, PIXEL_SIZE), 0.5)


def test_a_stretch_that_the_table_states_costs_no_resolution(folder: Path, tmp_path: Path) -> None:
    plain = resolution_against_truth(folder, "plain", MATRICES["none"], tmp_path / "plain")
    found = {
        which: resolution_against_truth(folder, "stretched", matrix, tmp_path / which)
        for which, matrix in MATRICES.items()
    }
    assert found["right"] < 1.02 * plain
    assert found["none"] > 1.04 * plain
    assert found["inverse"] > 1.07 * plain


def test_the_report_shows_images_without_the_stretch(folder: Path) -> None:
    """Beside projections of the true map they correlate best as they are read, centred by shifts on them."""
    truth = read_map(folder / "truth_1.mrc")[0].numpy()
    found = {}
    for which, matrix in MATRICES.items():
        fitted = read_fitted(stated(folder, "stretched", matrix), [truth], {}, 3 * PIXEL_SIZE)
        assert fitted is not None
        found[which] = fitted.correlation.mean()
    assert found["right"] > found["none"] + 0.007
    assert found["none"] > found["inverse"] + 0.01


def test_poses_are_written_as_other_programs_expect_them(folder: Path, tmp_path: Path) -> None:
    """What a job finds is on images without the stretch; what it writes is as the table had it."""
    config = ReconstructConfig(particles=stated(folder, "stretched", MATRIX), output=tmp_path, diameter=DIAMETER)
    dataset = read_dataset(config)
    came = dataset.particles.poses
    assert came is not None
    found, count = dataset.source.poses_on_read(came), len(came.shifts)
    assert float((found.shifts - came.shifts).abs().max()) > 0.02
    none = torch.zeros(count)
    estimates = PoseEstimates(
        *(found.rotations, found.shifts, none.long(), none[:, None] + 1, found.rotations[:, None]),
        *(found.shifts[:, None], none + 1, none + 1, none, none, none, none + 1),
    )
    write_particle_files(tmp_path, dataset, estimates, estimates.klass)
    written = read_particles(tmp_path / "particles.star")
    assert written.poses is not None
    assert written.optics is not None
    torch.testing.assert_close(written.poses.shifts, came.shifts, rtol=0, atol=1e-5)
    assert torch.equal(MATRIX, torch.from_numpy(written.optics[list(LABELS)].to_numpy()).view(2, 2))
