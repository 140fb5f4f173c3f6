"""``cryorbit demo --real``: what the packaged particles are, and that they go the whole way."""

import math
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

import cryorbit as co
from cryorbit.cli.main import main
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import read_map
from cryorbit.io.particles import read_particles
from cryorbit.recipes.real_demo import COARSE_PARTICLES, PARTICLES, copy_particles

SMALL = Path(__file__).parent.parent / "small_settings" / "run.toml"


def run(*arguments: str | Path) -> int:
    """Exit code of the command."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def radial_mean(images: Tensor, pixel_size: float) -> Tensor:
    """Mean of images over rings of a pixel's width, from the centre to the edge."""
    coordinate = (torch.arange(images.shape[-1]) - images.shape[-1] // 2).double()
    ring = torch.hypot(coordinate[:, None], coordinate[None, :]).round().long().flatten()
    mean = images.double().mean(dim=0).flatten()
    return (torch.bincount(ring, mean) / torch.bincount(ring))[: math.floor(120 / pixel_size)]


@pytest.mark.parametrize(("name", "box", "pixel_size"), [(PARTICLES, 60, 4.0), (COARSE_PARTICLES, 40, 6.0)])
def test_the_packaged_particles_are_shells_of_the_size_of_apoferritin(
    tmp_path: Path, name: str, box: int, pixel_size: float
) -> None:
    particles = read_particles(copy_particles(name, tmp_path))
    assert (len(particles), particles.box, particles.pixel_size) == (1270, box, pytest.approx(pixel_size))
    assert 1.5e4 < float(particles.ctf.defocus_v.min()) < float(particles.ctf.defocus_u.max()) < 2.6e4
    profile = radial_mean(particles.images.read(torch.arange(1270)), pixel_size)
    # protein is white, and the projection of a shell between radii of 40 and 62 A is brightest near its inner wall
    assert 36 <= int(profile.argmax()) * pixel_size <= 56
    assert profile[0] < 0.8 * profile.max()
    assert "EMPIAR-10146" in (tmp_path / "README.md").read_text()


def test_a_folder_that_holds_a_job_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    JobFolder.create(tmp_path, verb="run", config={})
    assert run("demo", "--real", "-o", tmp_path) == 2
    assert "already holds a job" in capsys.readouterr().err
    assert not (tmp_path / "real").exists()


@pytest.mark.slow
def test_real_particles_go_the_whole_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "small.toml"
    settings.write_text(f"limit = 60\nseeds = 1\n{SMALL.read_text()}")
    assert run("demo", "--real", "-o", tmp_path / "job", "--config", settings, "--device", "cpu") == 0
    shutil.move(tmp_path / "job", tmp_path / "moved")
    job = co.open_job(tmp_path / "moved")
    record = JobFolder.open(job.folder).read()
    assert (record["verb"], record["config"]["symmetry"], record["status"]) == ("run", "O", "finished")
    # nobody gives a diameter, and three iterations on 60 images make no map to be trusted
    verdict = record["result"]["verdict"]
    assert verdict["level"] == "bad"
    assert verdict["sentence"] in " ".join(capsys.readouterr().out.split())
    volume, pixel_size = read_map(job.folder / "map.mrc")
    assert (volume.shape, pixel_size) == ((60, 60, 60), pytest.approx(4.0))
    assert "Do not trust" in (job.folder / "report.html").read_text()
