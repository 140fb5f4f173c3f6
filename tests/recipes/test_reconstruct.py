"""Reconstruction from known poses: the true map from true poses, every file, what is refused, RELION's own map."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set

from cryorbit.cli.main import main
from cryorbit.core.data import CTFParams
from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, SilentProgress, Stopped
from cryorbit.evaluation.fsc import fourier_shell_correlation, fsc_curve, resolution_at
from cryorbit.fourier.half_disc import half_disc, image_from_transform, image_transform
from cryorbit.fourier.shells import shell_indices
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.masks import soft_ball
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.slices import SliceOperator
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Result
from cryorbit.io.job_run import running
from cryorbit.io.mrc import read_header, read_map, write_map
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.reconstruct import ReconstructConfig, read_posed, run
from cryorbit.simulate.particles import Truth, clean_images
from cryorbit.simulate.phantoms import blob_volume, random_blobs
from cryorbit.simulate.projection import prepare_map
from cryorbit.volumes.voxel import working_grid
from phantom_sets import write_source

COUNT, BOX, DIAMETER = 400, 32, 110.0
WHOLE_SHELLS = slice(1, BOX // 2 - 3)
"""Shells that neither the radius, just below Nyquist, nor the edge of the ball reaches."""


def phantom() -> torch.Tensor:
    """A map with power up to Nyquist."""
    blobs = random_blobs(BOX, torch.Generator().manual_seed(3), 24)
    return blob_volume(replace(blobs, widths=torch.full_like(blobs.widths, 0.8)), BOX)


def fourfold(volume: torch.Tensor) -> torch.Tensor:
    """The mean of the volume and its quarter turns about z."""
    turns = [volume]
    for _ in range(3):
        turns.append(quarter_turn(turns[-1]))
    return torch.stack(turns).mean(0)


def quarter_turn(volume: torch.Tensor) -> torch.Tensor:
    """The volume turned by 90 degrees about the z axis through the centre voxel."""
    return volume.transpose(1, 2).flip(1).roll(1, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of twenty micrographs, with their true poses."""
    folder = tmp_path_factory.mktemp("reconstruct")
    make_set(folder, [phantom()], COUNT, 1.0)
    return folder


@pytest.fixture(scope="module")
def finished(folder: Path) -> tuple[JobFolder, Result]:
    return reconstructed(folder / "truth.star", folder / "job")


def reconstructed(
    particles: Path, output: Path, progress: Progress | None = None, **changes: Any
) -> tuple[JobFolder, Result]:
    config = ReconstructConfig(particles=particles, output=output, **{"diameter": DIAMETER, **changes})
    if (output / "job.json").exists():
        job = JobFolder.open(output)
    else:
        job = JobFolder.create(output, verb="reconstruct", config=config.model_dump(mode="json"), inputs=[particles])
    with running(job):
        result = run(config, job, progress or SilentProgress())
    return job, result


def changed_set(folder: Path, name: str, block: str = "particles", drop: str = "", **columns: Any) -> Path:
    """The particles with columns set anew or left out, in a file beside them."""
    tables = read_star(folder / "truth.star")
    for label, values in columns.items():
        tables[block][label] = values
    tables["particles"] = tables["particles"].drop(
        columns=[label for label in tables["particles"] if drop and drop in label]
    )
    write_star(folder / name, tables)
    return folder / name


def test_true_poses_give_the_true_map(folder: Path, finished: tuple[JobFolder, Result]) -> None:
    job, result = finished
    truth, _ = read_map(folder / "truth_1.mrc")
    volume, pixel_size = read_map(job.path / "map.mrc")
    assert pixel_size == pytest.approx(PIXEL_SIZE)
    nyquist = 2 * PIXEL_SIZE
    assert resolution_at(fsc_curve(volume, truth, PIXEL_SIZE), 0.5) < 1.1 * nyquist
    assert float(fourier_shell_correlation(volume, truth)[1:11].min()) > 0.9
    # the grey scale is that of the images
    assert float((volume * truth).sum() / truth.square().sum()) == pytest.approx(1, abs=0.05)
    assert result.verdict is not None
    assert result.verdict.level == "good"
    assert nyquist <= result.classes[0].resolution_masked_A <= result.classes[0].resolution_A < 1.3 * nyquist


def test_every_file_is_there(finished: tuple[JobFolder, Result]) -> None:
    job, result = finished
    assert {path.name for path in job.path.iterdir()} == {
        *("job.json", "metrics.jsonl", "log.txt", "checkpoint", "particles.star", "set_aside.star"),
        *("map.mrc", "map_half1_unfil.mrc", "map_half2_unfil.mrc", "mask.mrc", "fsc.star", "fsc.xml", "fsc.csv"),
    }
    halves = [read_map(job.path / f"map_half{half}_unfil.mrc")[0] for half in (1, 2)]
    mask, _ = read_map(job.path / "mask.mrc")
    table = read_star(job.path / "fsc.star")["fsc"]
    for label, curve in (
        ("rlnFourierShellCorrelationUnmaskedMaps", fsc_curve(*halves, PIXEL_SIZE)),
        ("rlnFourierShellCorrelationMaskedMaps", fsc_curve(*halves, PIXEL_SIZE, mask)),
    ):
        expected = curve.correlation.clone()
        expected[BOX // 2] = 0  # beyond the radius of the slices
        torch.testing.assert_close(torch.tensor(table[label].tolist()).double(), expected, rtol=0, atol=1e-4)
    record = job.read()["result"]
    assert record["classes"] == [
        {
            "name": "map",
            "map": "map.mrc",
            "fsc": "fsc.csv",
            "particles": COUNT,
            "fraction": 1.0,
            "resolution_A": result.classes[0].resolution_A,
            "resolution_masked_A": result.classes[0].resolution_masked_A,
        }
    ]
    assert record["particles"] == {"used": COUNT, "set_aside": 0}
    assert [line["stage"] for line in job.read_metrics()] == ["insert", "insert"]
    assert sum(line["batch"] for line in job.read_metrics()) == COUNT


def test_half_sets_are_drawn_by_micrograph_and_all_columns_kept(
    folder: Path, finished: tuple[JobFolder, Result]
) -> None:
    job, result = finished
    given, found = (read_star(path)["particles"] for path in (folder / "truth.star", job.path / "particles.star"))
    assert list(found) == [*given, "rlnRandomSubset"]
    same = [label for label in given if label != "rlnImageName"]
    assert found[same].equals(given[same])
    assert set(found["rlnRandomSubset"]) == {1, 2}
    assert (found.groupby("rlnMicrographName")["rlnRandomSubset"].nunique() == 1).all()
    assert any("drawn at random (seed 0)" in note for note in result.notes)


def test_half_sets_of_the_input_are_kept(folder: Path, tmp_path: Path) -> None:
    """And they decide which image goes into which half map: swapped half-sets make swapped maps."""
    subset = [1 + row // 3 % 2 for row in range(COUNT)]
    jobs = []
    for name, values in (("one", subset), ("other", [3 - half for half in subset])):
        particles = changed_set(folder, f"{name}.star", rlnRandomSubset=values)
        job, result = reconstructed(particles, tmp_path / name)
        assert read_star(job.path / "particles.star")["particles"]["rlnRandomSubset"].tolist() == values
        assert "Half-sets are those of the input (rlnRandomSubset)." in result.notes
        jobs.append([read_map(job.path / f"map_half{half}_unfil.mrc")[0] for half in (1, 2)])
    assert torch.equal(jobs[0][0], jobs[1][1])
    assert torch.equal(jobs[0][1], jobs[1][0])
    assert not torch.equal(*jobs[0])


def test_a_class_makes_a_map_of_its_own_and_all_are_joined_with_notice(folder: Path, tmp_path: Path) -> None:
    """A third of the particles, in class 2, has wrong poses: they spoil the map of all, not that of class 1."""
    table = read_star(folder / "truth.star")["particles"]
    wrong = torch.arange(COUNT) % 3 == 0
    tilt = torch.where(wrong, torch.tensor(table["rlnAngleTilt"]).roll(7), torch.tensor(table["rlnAngleTilt"]))
    particles = changed_set(
        folder, "mixed.star", rlnClassNumber=(1 + wrong.long()).tolist(), rlnAngleTilt=tilt.tolist()
    )
    truth, _ = read_map(folder / "truth_1.mrc")
    correlation = {}
    for name, number in (("one", 1), ("all", None)):
        job, result = reconstructed(particles, tmp_path / name, class_number=number)
        correlation[name] = fourier_shell_correlation(read_map(job.path / "map.mrc")[0], truth)[6:12].mean()
        assert result.particles.used == (int((~wrong).sum()) if number else COUNT)
        words = "that of class 1" if number else "2 classes (rlnClassNumber); all make one map"
        assert words in result.notes[0]
    assert correlation["one"] > correlation["all"] + 0.02
    with pytest.raises(InputError, match=r"no particles of class 3(.|\n)*classes here are 1, 2"):
        reconstructed(particles, tmp_path / "none", class_number=3)


def test_premultiplied_images_make_the_same_map(folder: Path, tmp_path: Path, finished: tuple[JobFolder, Any]) -> None:
    particles = read_particles(folder / "truth.star")
    disc = half_disc(BOX, BOX / 2)
    transform = image_transform(particles.images.read(torch.arange(COUNT)), disc)
    ctf = ctf_values(particles.ctf, disc.frequencies / (BOX * PIXEL_SIZE))
    write_source(tmp_path / "particles.mrcs", image_from_transform(ctf * transform, disc), particles.ctf, PIXEL_SIZE)
    tables = read_star(folder / "truth.star")
    tables["optics"]["rlnCtfDataAreCtfPremultiplied"] = 1
    write_star(tmp_path / "premultiplied.star", tables)
    # normalised anew, the images would have another grey scale
    job, _ = reconstructed(tmp_path / "premultiplied.star", tmp_path / "job")
    ours, theirs = (read_map(path / "map_half1_unfil.mrc")[0] for path in (job.path, finished[0].path))
    assert float(fourier_shell_correlation(ours, theirs)[WHOLE_SHELLS].min()) > 0.999


TILT_MRAD, EVEN = 80.0, 300.0
"""A beam tilt along y, 5 rad at Nyquist, and the coefficient of ``(4 k^2 - 3) 2 k_x k_y``, 9 rad."""


def aberrant_set(folder: Path, images: Path) -> None:
    """The particles of a set through a lens with aberrations whose phases are written out, with the same noise."""
    particles = read_particles(folder / "truth.star")
    assert particles.poses is not None
    disc = half_disc(BOX, BOX / 2)
    frequencies = disc.frequencies.double() / (BOX * PIXEL_SIZE)
    (x, y), square = frequencies.unbind(1), (frequencies**2).sum(1)
    tilt = -2 * torch.pi * 2.7e4 * 0.0196875**2 * TILT_MRAD * square * y
    turn = torch.polar(torch.ones_like(tilt), tilt).to(torch.complex64)
    even = (EVEN * (4 * square - 3) * 2 * x * y).expand(COUNT, -1)
    plain, aberrant = (ctf_values(particles.ctf, frequencies, each) for each in (None, even))
    truth, _ = read_map(folder / "truth_1.mrc")
    operator = SliceOperator(working_grid(BOX, BOX / 2), disc, particles.poses.rotations.float())
    slices = operator.project(truth) * shift_phases(particles.poses.shifts, disc).conj()
    seen = image_transform(particles.images.read(torch.arange(COUNT)), disc)
    write_source(
        images, image_from_transform(seen + (aberrant * turn - plain) * slices, disc), particles.ctf, PIXEL_SIZE
    )


def test_aberrations_are_corrected_for(folder: Path, tmp_path: Path) -> None:
    """With them in the table the map is as good as ever; without, its finer half is lost."""
    aberrant_set(folder, tmp_path / "particles.mrcs")
    tables, truth = read_star(folder / "truth.star"), read_map(folder / "truth_1.mrc")[0]
    write_star(tmp_path / "without.star", tables)
    stated = {"rlnBeamTiltX": 0.0, "rlnBeamTiltY": TILT_MRAD, "rlnEvenZernike": f"[0,0,0,0,0,{EVEN}]"}
    write_star(tmp_path / "with.star", tables | {"optics": tables["optics"].assign(**stated)})
    finest = {}
    for name in ("with", "without"):
        job, result = reconstructed(tmp_path / f"{name}.star", tmp_path / name)
        assert not [note for note in result.notes if "not corrected for" in note]
        finest[name] = fourier_shell_correlation(read_map(job.path / "map.mrc")[0], truth)[8:14].mean()
    assert finest["with"] > 0.9
    assert finest["without"] < 0.5


def test_symmetry_is_imposed(tmp_path: Path) -> None:
    """Sixty images of a fourfold map are worth four times as many."""
    make_set(tmp_path, [fourfold(phantom())], 60, 1.0)
    truth, _ = read_map(tmp_path / "truth_1.mrc")
    assert torch.equal(
        quarter_turn(torch.eye(BOX)[None].expand(BOX, -1, -1))[0, 1:], torch.eye(BOX).flip(0).roll(1, 0)[1:]
    )
    resolved = {}
    for symmetry in ("C1", "C4"):
        job, result = reconstructed(tmp_path / "truth.star", tmp_path / symmetry, symmetry=symmetry)
        assert not [note for note in result.notes if "symmetry" in note]
        volume, _ = read_map(job.path / "map.mrc")
        resolved[symmetry] = float(fourier_shell_correlation(volume, truth)[4:11].mean())
    assert float((volume - quarter_turn(volume)).norm() / volume.norm()) < 0.01
    assert resolved["C4"] > resolved["C1"] + 0.02


def test_a_symmetry_that_the_particles_do_not_have_is_told(folder: Path, tmp_path: Path) -> None:
    job, result = reconstructed(folder / "truth.star", tmp_path / "job", symmetry="C4")
    assert any("do not have C4 symmetry" in note and "leave --symmetry out" in note for note in result.notes)
    verdict = job.read()["result"]["verdict"]
    assert verdict["level"] == "bad"
    assert "do not have C4 symmetry" in verdict["sentence"]


def test_views_of_one_side_are_told(folder: Path, tmp_path: Path, finished: tuple[JobFolder, Result]) -> None:
    assert not [note for note in finished[1].notes if "Views" in note]
    tilts = read_star(folder / "truth.star")["particles"]["rlnAngleTilt"]
    one_side = changed_set(folder, "one_side.star", rlnAngleTilt=0.1 * tilts)
    _, result = reconstructed(one_side, tmp_path / "job")
    assert any(note.startswith("Views are uneven") and "tilt the stage" in note for note in result.notes)


def test_images_multiplied_with_their_ctf_otherwise_than_the_table_says_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    tables = read_star(folder / "truth.star")
    tables["optics"]["rlnCtfDataAreCtfPremultiplied"] = 1
    write_star(folder / "said.star", tables)
    with pytest.raises(InputError, match=r"their noise does not follow it(.|\n)*--not-premultiplied"):
        reconstructed(folder / "said.star", tmp_path / "said")
    job, _ = reconstructed(folder / "said.star", tmp_path / "decided", premultiplied=False)
    assert read_star(job.path / "particles.star")["optics"]["rlnCtfDataAreCtfPremultiplied"].tolist() == [0]


def test_images_without_a_ctf(tmp_path: Path) -> None:
    """Negative stain: no column of the CTF, and projections as they are."""
    generator = torch.Generator().manual_seed(4)
    make_set(tmp_path, [phantom()], COUNT, 1.0)
    particles = read_particles(tmp_path / "truth.star")
    assert particles.poses is not None
    truth = Truth(particles.poses, CTFParams.absent(COUNT), torch.zeros(COUNT, dtype=torch.long), particles.group)
    clean = clean_images([prepare_map(phantom())], truth, PIXEL_SIZE)
    images = clean / clean.std() + torch.randn(clean.shape, generator=generator)
    (tmp_path / "particles.mrcs").unlink()
    write_source(tmp_path / "particles.mrcs", images, particles.ctf, PIXEL_SIZE)
    stain = changed_set(tmp_path, "stain.star", drop="Defocus")
    with pytest.raises(InputError, match=r"no column rlnDefocusU(.|\n)*--no-ctf"):
        reconstructed(stain, tmp_path / "with")
    job, _ = reconstructed(stain, tmp_path / "without", ctf=False)
    volume = read_map(job.path / "map.mrc")[0]
    assert float(fourier_shell_correlation(volume, phantom())[1:8].min()) > 0.9


def test_a_coarser_map_when_asked(folder: Path, tmp_path: Path, finished: tuple[JobFolder, Any]) -> None:
    job, result = reconstructed(folder / "truth.star", tmp_path / "job", max_resolution=20.0)
    coarse, fine = (read_map(path / "map_half1_unfil.mrc")[0] for path in (job.path, finished[0].path))
    assert coarse.shape == fine.shape
    radius = int(BOX * PIXEL_SIZE / 20.0)
    power = torch.fft.rfftn(coarse).abs().square()
    shells = shell_indices(BOX)
    assert float(power[shells > radius + 2].sum() / power[shells > 0].sum()) < 1e-3
    assert float(fourier_shell_correlation(coarse, fine)[1:radius].min()) > 0.99
    assert result.classes[0].resolution_A == result.classes[0].resolution_masked_A == pytest.approx(20.0)
    table = read_star(job.path / "fsc.star")["fsc"]
    assert not table["rlnFourierShellCorrelationMaskedMaps"][radius + 1 :].any()
    assert float(power[shells > radius].max() / power.max()) < 1e-9
    for name in ("map.mrc", "map_half1_unfil.mrc", "map_half2_unfil.mrc"):
        assert read_header(job.path / name).holds_to_A == pytest.approx(20.0)
    assert any("hold data to 20.0 Å only" in note for note in result.notes)
    assert any("nothing finer than" in note for note in finished[1].notes)


def test_a_mask_is_used_as_it_is(folder: Path, tmp_path: Path) -> None:
    mask = soft_ball(BOX, 5.0, 3.0)
    write_map(tmp_path / "mask.mrc", mask, PIXEL_SIZE)
    job, _ = reconstructed(folder / "truth.star", tmp_path / "job", mask=tmp_path / "mask.mrc")
    assert torch.equal(read_map(job.path / "mask.mrc")[0], mask)
    # in another box it is padded
    write_map(tmp_path / "small.mrc", soft_ball(20, 5.0, 3.0), PIXEL_SIZE)
    job, _ = reconstructed(folder / "truth.star", tmp_path / "other", mask=tmp_path / "small.mrc")
    torch.testing.assert_close(read_map(job.path / "mask.mrc")[0], mask, rtol=0, atol=1e-6)


def test_particles_set_aside_are_listed(folder: Path, tmp_path: Path) -> None:
    defocus = read_star(folder / "truth.star")["particles"]["rlnDefocusU"].tolist()
    defocus[4] = 1.5
    job, result = reconstructed(changed_set(folder, "micrometres.star", rlnDefocusU=defocus), tmp_path / "job")
    assert result.particles.used == COUNT - 1
    aside = read_star(job.path / "set_aside.star")["particles"]
    assert aside["rlnDefocusU"].tolist() == [1.5]
    assert len(read_star(job.path / "particles.star")["particles"]) == COUNT - 1


def test_missing_poses_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no poses: there is no column rlnAngleTilt(.|\n)*fix: add rlnAngleTilt"):
        reconstructed(changed_set(folder, "tiltless.star", drop="rlnAngleTilt"), tmp_path / "job")


def test_one_half_set_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"all particles are in half-set 2 \(rlnRandomSubset\)(.|\n)*both half-sets"):
        reconstructed(changed_set(folder, "half.star", rlnRandomSubset=2), tmp_path / "job")


def test_two_pixel_sizes_are_refused(folder: Path, tmp_path: Path) -> None:
    tables = read_star(folder / "truth.star")
    tables["optics"] = tables["optics"].loc[[0, 0]].reset_index(drop=True)
    tables["optics"]["rlnOpticsGroup"] = [1, 2]
    tables["optics"]["rlnImagePixelSize"] = [PIXEL_SIZE, 1.1 * PIXEL_SIZE]
    tables["particles"]["rlnOpticsGroup"] = [1 + row % 2 for row in range(COUNT)]
    write_star(folder / "two.star", tables)
    with pytest.raises(
        InputError, match=r"pixel size is 5 for some particles and 5\.5 for others(.|\n)*one kind at a time: --subset"
    ):
        reconstructed(folder / "two.star", tmp_path / "job")


def test_too_little_memory_is_told_before_any_image_is_read(folder: Path, tmp_path: Path) -> None:
    """The images are not even there."""
    shutil.copy(folder / "truth.star", tmp_path / "particles.star")
    with pytest.raises(InputError, match=r"needs .* of memory(.|\n)*allow more memory \(--memory\)"):
        reconstructed(tmp_path / "particles.star", tmp_path / "job", memory=0.01)
    with pytest.raises(InputError, match=r"is not there"):
        reconstructed(tmp_path / "particles.star", tmp_path / "other", memory=1000.0)


class StopsAtOnce(SilentProgress):
    """Asks for a stop whenever it is asked."""

    def stop_requested(self) -> bool:
        """Always."""
        return True


def test_a_stopped_job_goes_on_and_ends_the_same(
    folder: Path, tmp_path: Path, finished: tuple[JobFolder, Result]
) -> None:
    with pytest.raises(Stopped):
        reconstructed(folder / "truth.star", tmp_path / "job", StopsAtOnce())
    job, result = reconstructed(folder / "truth.star", tmp_path / "job")
    assert result.classes[0].resolution_A == pytest.approx(finished[1].classes[0].resolution_A, rel=1e-5)
    # transforms may be shared among threads in another way, which changes the last bit
    ours, theirs = (read_map(path / "map.mrc")[0] for path in (job.path, finished[0].path))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * float(theirs.amax()))
    assert len(job.read_metrics()) == 2


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["reconstruct", str(folder / "truth.star"), "-o", str(tmp_path / "job"), "--class", "1", "--device", "cpu"])
    captured = capsys.readouterr()
    assert "map.mrc" in captured.out
    assert "The map is that of class 1, 400 particles." in captured.err
    page = (tmp_path / "job" / "report.html").read_text()
    for words in (
        "surface, central slices",
        "Fourier shell correlation",
        "density of view directions",
        "--class picks",
    ):
        assert (words in page) == (words != "--class picks")
    with pytest.raises(SystemExit):
        main(["reconstruct", str(folder / "truth.star"), "-o", str(tmp_path / "small"), "--memory", "0.01"])
    assert "allow more memory (--memory)" in capsys.readouterr().err


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many particles that every voxel of the transform is seen: how empty ones are filled is a matter of taste."""
    folder = tmp_path_factory.mktemp("many")
    make_set(folder, [phantom()], 2000, 1.0)
    return folder


@pytest.mark.slow
@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_reconstruct") is None, reason="relion_reconstruct is not installed")
@pytest.mark.parametrize("symmetry", ["C1", "D2"])
def test_relion_makes_the_same_map(many: Path, tmp_path: Path, symmetry: str) -> None:
    """The same half maps in grey scale, sign and every shell, and the same correlation of them."""
    job, _ = reconstructed(many / "truth.star", tmp_path / "job", symmetry=symmetry)
    ours = [read_map(job.path / f"map_half{half}_unfil.mrc")[0] for half in (1, 2)]
    theirs = []
    for half in ("1", "2"):
        target = tmp_path / f"relion_{half}.mrc"
        options = ["--ctf", "--sym", symmetry, "--subset", half, "--o", str(target)]
        command = ["relion_reconstruct", "--i", str(job.path / "particles.star"), *options]
        subprocess.run(command, cwd=many, check=True, capture_output=True)
        theirs.append(read_map(target)[0])
    for mine, relions in zip(ours, theirs, strict=True):
        assert float(fourier_shell_correlation(mine, relions)[WHOLE_SHELLS].min()) > 0.99
        one, other = without_mean(mine), without_mean(relions)
        assert float((one * other).sum() / other.square().sum()) == pytest.approx(1, abs=0.02)
    difference = fourier_shell_correlation(*ours) - fourier_shell_correlation(*theirs)
    assert float(difference[WHOLE_SHELLS].abs().max()) < 0.02


def without_mean(volume: torch.Tensor) -> torch.Tensor:
    """The map in shells 1 to 11: the images do not tell its mean, and programs end differently at Nyquist."""
    shells = shell_indices(BOX)
    return torch.fft.irfftn(torch.fft.rfftn(volume) * ((shells > 0) & (shells < 12)), s=volume.shape)


POSE = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst")


def test_particles_that_were_never_aligned_are_left_out(folder: Path, tmp_path: Path) -> None:
    """Seven in eight of them, which would be too many to set aside."""
    table = read_star(folder / "truth.star")["particles"]
    aligned = [row % 8 == 0 for row in range(COUNT)]
    poses = {label: table[label].where(aligned, 0.0).tolist() for label in POSE}
    job, result = reconstructed(changed_set(folder, "few.star", **poses), tmp_path / "job")
    assert result.particles.used == COUNT // 8
    assert any("350 of 400 particles have no pose" in note for note in result.notes)
    assert (
        read_star(job.path / "particles.star")["particles"]["rlnDefocusU"].tolist()
        == table["rlnDefocusU"][::8].tolist()
    )


@pytest.mark.parametrize("unset", ["nan", "<NA>", "None", "-"])
def test_a_class_that_is_not_set_is_no_class(folder: Path, tmp_path: Path, unset: str) -> None:
    classes = [unset if row == 7 else "2" for row in range(COUNT)]
    particles = changed_set(folder, "unset.star", rlnClassNumber=classes)
    posed, _ = read_posed(ReconstructConfig(particles=particles, output=tmp_path, class_number=2))
    assert len(posed) == COUNT - 1
    posed, _ = read_posed(ReconstructConfig(particles=particles, output=tmp_path))
    assert len(posed) == COUNT
    with pytest.raises(InputError, match="the classes here are 2"):
        read_posed(ReconstructConfig(particles=particles, output=tmp_path, class_number=1))


def test_doubts_about_half_sets_and_optics_are_in_the_verdict(folder: Path, tmp_path: Path) -> None:
    tables = read_star(folder / "truth.star")
    tables["particles"]["rlnRandomSubset"] = [2] * 40 + [1] * (COUNT - 40)
    tables["optics"]["rlnMagMat00"], tables["optics"]["rlnMagMat11"] = 0.2, 0.0
    write_star(folder / "doubtful.star", tables)
    _, result = reconstructed(folder / "doubtful.star", tmp_path / "job")
    assert result.verdict is not None
    assert result.verdict.level == "doubtful"
    assert "the half-sets of the input are uneven (360 and 40 particles)" in result.verdict.reasons[0]
    assert "anisotropic magnification (rlnMagMat00 to 11) is not corrected for" in result.verdict.reasons[1]


def test_half_sets_of_two_frames_are_told(folder: Path, tmp_path: Path) -> None:
    """Poses of two refinements: those of one half-set are turned by 60 degrees about z."""
    table = read_star(folder / "truth.star")["particles"]
    second = np.arange(COUNT) % 2 == 1
    turned = changed_set(
        folder,
        "two_frames.star",
        rlnAngleRot=table["rlnAngleRot"] + 60 * second,
        rlnRandomSubset=second + 1,
    )
    _, result = reconstructed(turned, tmp_path / "job")
    assert result.verdict is not None
    assert result.verdict.level == "bad"
    assert "the half-maps are not in one position" in result.verdict.sentence


@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        (1 - soft_ball(BOX, 11.0, 2.0), "0 and 1 are exchanged(.|\n)*1 minus this mask"),
        (soft_ball(BOX, 3.0, 1.0).roll((12, 12, 12), (0, 1, 2)), "the mask leaves out the particle"),
    ],
)
def test_masks_beside_the_particle_are_refused(folder: Path, tmp_path: Path, mask: torch.Tensor, problem: str) -> None:
    write_map(tmp_path / "mask.mrc", mask, PIXEL_SIZE)
    with pytest.raises(InputError, match=problem) as caught:
        reconstructed(folder / "truth.star", tmp_path / "job", mask=tmp_path / "mask.mrc")
    assert caught.value.file == tmp_path / "mask.mrc"
