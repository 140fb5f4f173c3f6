"""The simulation end to end: files as RELION wants them, and images that are what the truth says."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.cli.main import main
from cryorbit.core.errors import InputError
from cryorbit.core.progress import SilentProgress, Stopped
from cryorbit.io.mrc import read_map, write_map
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.recipes.simulate import SimulateConfig, run
from cryorbit.simulate.microscope import Microscope
from cryorbit.simulate.particles import Truth, clean_images
from cryorbit.simulate.phantoms import random_blob_phantom
from cryorbit.simulate.projection import prepare_map

BOX, PIXEL_SIZE = 16, 5.6


@pytest.fixture
def maps(tmp_path: Path) -> tuple[Path, ...]:
    """Two phantoms."""
    paths = (tmp_path / "a.mrc", tmp_path / "b.mrc")
    for seed, path in enumerate(paths):
        write_map(path, random_blob_phantom(BOX, torch.Generator().manual_seed(seed)), PIXEL_SIZE)
    return paths


def clean_from_files(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Clean images made anew from truth.star and the truth maps, and the images on disk."""
    particles = read_particles(folder / "truth.star")
    assert particles.poses is not None
    classes = torch.tensor(particles.table["rlnClassNumber"].tolist()) - 1
    maps = [prepare_map(read_map(path)[0]) for path in sorted(folder.glob("truth_*.mrc"))]
    truth = Truth(particles.poses, particles.ctf, classes, torch.zeros_like(classes))
    return clean_images(maps, truth, particles.pixel_size), particles.images.read(np.arange(len(particles)))


@pytest.mark.parametrize("invert", [False, True])
def test_images_are_clean_images_plus_unit_noise(invert: bool, maps: tuple[Path, ...], tmp_path: Path) -> None:
    config = SimulateConfig(maps=maps, output=tmp_path / "job", count=300, snr=0.25, junk=0.1, invert_contrast=invert)
    result = run(config)
    assert result.maps == (tmp_path / "job/truth_1.mrc", tmp_path / "job/truth_2.mrc")
    clean, images = clean_from_files(tmp_path / "job")
    particles = clean.flatten(1).any(1)
    assert int((~particles).sum()) == 30
    assert float(clean[particles].var((1, 2), correction=0).mean()) == pytest.approx(0.25, rel=1e-4)
    noise = images + clean if invert else images - clean
    # 76,800 values: the standard errors of mean and variance are 0.0036 and 0.0051
    assert abs(float(noise.mean())) < 0.018
    assert abs(float(noise.var()) - 1) < 0.025
    assert abs(float((noise * clean).sum() / clean.square().sum())) < 0.05


def test_tables_are_those_of_relion_and_hide_the_truth(maps: tuple[Path, ...], tmp_path: Path) -> None:
    run(SimulateConfig(maps=maps, output=tmp_path / "job", count=120, fractions=(1, 3)))
    given, known = (read_star(tmp_path / "job" / name) for name in ("particles.star", "truth.star"))
    assert list(given) == list(known) == ["optics", "particles"]
    hidden = [
        *("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"),
        *("rlnOriginXAngst", "rlnOriginYAngst", "rlnClassNumber"),
    ]
    assert not set(hidden) & set(given["particles"])
    assert given["particles"].equals(known["particles"].drop(columns=hidden))
    assert known["particles"]["rlnClassNumber"].value_counts().to_dict() == {1: 30, 2: 90}
    assert given["particles"]["rlnMicrographName"].nunique() == 2
    optics = given["optics"].iloc[0]
    assert (optics["rlnVoltage"], optics["rlnImageSize"], optics["rlnImagePixelSize"]) == (300, BOX, PIXEL_SIZE)
    assert read_particles(tmp_path / "job/particles.star").poses is None


def test_same_seed_same_bytes(maps: tuple[Path, ...], tmp_path: Path) -> None:
    names = ("particles.mrcs", "particles.star", "truth.star", "truth_1.mrc")
    contents = []
    for folder, seed in (("one", 4), ("two", 4), ("three", 5)):
        run(SimulateConfig(maps=maps[:1], output=tmp_path / folder, count=20, seed=seed))
        contents.append([(tmp_path / folder / name).read_bytes() for name in names])
    assert contents[0] == contents[1]
    assert all(first != other for first, other in zip(contents[0], contents[2], strict=True))


def test_poses_and_ctf_of_another_set(maps: tuple[Path, ...], tmp_path: Path) -> None:
    microscope = Microscope(voltage=200.0, defocus_range=(30_000.0, 31_000.0), particles_per_micrograph=7)
    run(SimulateConfig(maps=maps[:1], output=tmp_path / "source", count=30, microscope=microscope, shift_sigma=9))
    source = tmp_path / "source/truth.star"
    for count in (20, 50):
        output = tmp_path / f"job{count}"
        run(SimulateConfig(maps=maps, output=output, count=count, poses_from=source, ctf_from=source, shift_sigma=0.5))
        ours, theirs = read_particles(output / "truth.star"), read_particles(source)
        assert ours.poses is not None
        assert theirs.poses is not None
        nearest = torch.cdist(ours.poses.rotations.flatten(1), theirs.poses.rotations.flatten(1)).min(1)
        assert nearest.values.max() < 1e-6
        if count <= 30:
            assert len(nearest.indices.unique()) == count
        assert float(ours.poses.shifts.abs().max()) < 3
        assert set(ours.ctf.defocus_u.tolist()) <= set(theirs.ctf.defocus_u.tolist())
        assert ours.ctf.voltage.unique().tolist() == [200.0]


def test_coloured_noise_is_stronger_at_low_frequencies(maps: tuple[Path, ...], tmp_path: Path) -> None:
    run(SimulateConfig(maps=maps[:1], output=tmp_path / "job", count=100, noise="coloured", snr=1e-4))
    images = read_particles(tmp_path / "job/particles.star").images.read(np.arange(100))
    power = torch.fft.rfft2(images, norm="ortho").abs().square().mean(0)
    assert float(images.var()) == pytest.approx(1, abs=0.05)
    assert float(power[0, 1]) > 2 * float(power[0, 7])


@pytest.mark.parametrize(
    ("shape", "pixel_size", "message"),
    [
        ((15, 15, 15), PIXEL_SIZE, "even side"),
        ((16, 16, 8), PIXEL_SIZE, "even side"),
        ((18, 18, 18), PIXEL_SIZE, "not that of"),
        ((16, 16, 16), 2 * PIXEL_SIZE, "not that of"),
    ],
)
def test_maps_that_do_not_fit_are_refused(
    shape: tuple[int, ...], pixel_size: float, message: str, maps: tuple[Path, ...], tmp_path: Path
) -> None:
    write_map(tmp_path / "odd.mrc", torch.ones(shape), pixel_size)
    with pytest.raises(InputError, match=message):
        run(SimulateConfig(maps=(maps[0], tmp_path / "odd.mrc"), output=tmp_path / "job", count=5))


def test_empty_map_and_wrong_fractions_are_refused(maps: tuple[Path, ...], tmp_path: Path) -> None:
    write_map(tmp_path / "zero.mrc", torch.zeros(16, 16, 16), PIXEL_SIZE)
    with pytest.raises(InputError, match="zero everywhere"):
        run(SimulateConfig(maps=(tmp_path / "zero.mrc",), output=tmp_path / "job", count=5))
    with pytest.raises(InputError, match="fractions"):
        run(SimulateConfig(maps=maps, output=tmp_path / "job", count=5, fractions=(1.0,)))
    with pytest.raises(InputError, match="no poses"):
        run(SimulateConfig(maps=maps, output=tmp_path / "first", count=5))
        run(SimulateConfig(maps=maps, output=tmp_path / "job", poses_from=tmp_path / "first/particles.star"))


def test_a_stopped_simulation_leaves_no_stack(maps: tuple[Path, ...], tmp_path: Path) -> None:
    class Impatient(SilentProgress):
        def stop_requested(self) -> bool:
            return True

    with pytest.raises(Stopped):
        run(SimulateConfig(maps=maps, output=tmp_path / "job", count=5), Impatient())
    assert not list((tmp_path / "job").glob("*"))


def test_command_line(maps: tuple[Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(path) for path in maps]
    options = ["-n", "40", "--snr", "0.5", "--fractions", "1", "3", "--defocus-range", "1.5", "1.6", "--seed", "1"]
    main(["simulate", *names, "-o", str(tmp_path / "job"), *options, "--device", "cpu"])
    assert "particles.star" in capsys.readouterr().out
    truth = read_particles(tmp_path / "job/truth.star")
    assert truth.table["rlnClassNumber"].value_counts().to_dict() == {1: 10, 2: 30}
    assert 14_500 < float(truth.ctf.defocus_u.min()) < float(truth.ctf.defocus_u.max()) < 16_500
    assert (tmp_path / "job/job.json").exists()


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_reconstruct") is None, reason="relion_reconstruct is not installed")
def test_relion_reconstructs_the_truth(maps: tuple[Path, ...], tmp_path: Path) -> None:
    """Signs of angles, shifts and CTF as RELION understands them, at its own hands."""
    run(SimulateConfig(maps=maps[:1], output=tmp_path / "job", count=600, snr=5, shift_sigma=1))
    command = ["relion_reconstruct", "--i", "truth.star", "--o", "relion.mrc", "--ctf"]
    subprocess.run(command, cwd=tmp_path / "job", check=True, capture_output=True)
    volumes = [read_map(tmp_path / "job" / name)[0].flatten() for name in ("relion.mrc", "truth_1.mrc")]
    assert torch.corrcoef(torch.stack(volumes))[0, 1] > 0.97
