"""Inspection: numbers against images of known make, and every fault told without a refusal."""

import re
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from scipy import ndimage

from cryorbit.cli.main import main
from cryorbit.core.errors import InputError
from cryorbit.io.particles import read_particles
from cryorbit.io.posed import posed_particles
from cryorbit.io.relion import ANGLES
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.convert import ConvertConfig
from cryorbit.recipes.convert import run as run_convert
from cryorbit.recipes.inspect import InspectConfig, Inspection, run
from cryorbit.recipes.real_demo import COARSE_PARTICLES, PARTICLES, copy_particles
from cryorbit.report.inspection_page import write_inspection
from small_sets import STAR_HEAD, blob_images, write_stack, write_star_set

BOX, PIXEL_SIZE, MANY = 48, 2.0, 300
COUNT = 60
RADIUS = 10


@pytest.fixture
def star_set(tmp_path: Path, rng: np.random.Generator) -> Path:
    """As many particles as a reconstruction asks for, and ten more."""
    return write_star_set(tmp_path, blob_images(COUNT, rng))


def inspect(star: Path, **options: object) -> Inspection:
    return run(InspectConfig(particles=star, **options))


def disc_set(folder: Path, rng: np.random.Generator, height: float, sign: float = 1.0) -> Path:
    """Discs of 20 px in noise of variance 1, their height drawn anew for each image so that they vary."""
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    disc = (np.hypot(x, y) <= RADIUS) * rng.uniform(0.5, 1.5, (MANY, 1, 1)) * height
    (folder / "Extract").mkdir()
    write_stack(folder / "Extract" / "a.mrcs", (rng.standard_normal((MANY, BOX, BOX)) + sign * disc).astype(np.float32))
    row = "mic.mrc 1 10000 9900 0 0 0 0 0 0"
    names = "".join(f"{number + 1:06d}@Extract/a.mrcs {row} {number % 2 + 1} 0\n" for number in range(MANY))
    star = folder / "discs.star"
    star.write_text(STAR_HEAD.replace(" 16 2\n", f" {BOX} 2\n") + names)
    return star


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_images_of_known_make_tell(tmp_path: Path, rng: np.random.Generator, sign: float) -> None:
    height = 0.6
    found = inspect(disc_set(tmp_path, rng, height, sign)).images
    assert found is not None
    assert found.dark == (sign < 0)
    assert found.normalised
    assert found.diameter == pytest.approx(2 * RADIUS * PIXEL_SIZE, abs=3 * PIXEL_SIZE)
    inside = np.pi * RADIUS**2 / BOX**2
    signal = height**2 * (1 + 1 / 12) * (inside - inside**2)
    assert found.snr == pytest.approx(signal, rel=0.15)
    np.testing.assert_allclose(found.noise[3:], 1.0, atol=0.1)
    # protein is shown white whatever it was
    centre = found.smoothed[:, BOX // 2 - 4 : BOX // 2 + 4, BOX // 2 - 4 : BOX // 2 + 4].mean()
    assert float(centre) == pytest.approx(height, rel=0.3)


def test_noise_is_that_of_the_images_also_when_multiplied_with_the_ctf(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    star = disc_set(tmp_path, rng, 0.6)
    changed("_rlnImageDimensionality #8\n", "_rlnImageDimensionality #8\n_rlnCtfDataAreCtfPremultiplied #9\n")(star)
    for _ in range(2):
        changed(f" {BOX} 2\n", f" {BOX} 2 1\n")(star)
    found = inspect(star)
    assert found.premultiplied
    assert found.images is not None
    np.testing.assert_allclose(found.images.noise[3:], 1.0, atol=0.1)
    assert found.images.snr > 0


def test_a_sound_set(star_set: Path) -> None:
    found = inspect(star_set)
    assert found.fit
    assert found.posed
    assert found.optics["particles"].tolist() == [30, 30]
    assert found.optics["voltage_kV"].tolist() == [300, 200]
    record = found.record()
    assert record["defocus_A"] == pytest.approx({"min": 9950, "median": 10240, "max": 10540}, abs=11)
    assert record["unusable"] == {}


def changed(old: str, new: str) -> Callable[[Path], None]:
    def change(star: Path) -> None:
        text = star.read_text()
        assert old in text
        star.write_text(text.replace(old, new, 1))

    return change


def with_pixels(value: float) -> Callable[[Path], None]:
    """Damage that makes the fourth image of the first stack hold one value."""

    def change(star: Path) -> None:
        with (star.parent / "Extract" / "a.mrcs").open("r+b") as stack:
            stack.seek(1024 + 3 * 4 * 16**2)
            stack.write(np.full(16**2, value, "<f4").tobytes())

    return change


@pytest.mark.parametrize(
    ("damage", "words", "unusable", "fit"),
    [
        (lambda star: (star.parent / "Extract" / "b.mrcs").unlink(), "1 of 2 image files are not there", 30, False),
        (
            lambda star: (star.parent / "Extract" / "b.mrcs").write_bytes(b"x"),
            "b.mrcs: this is not an MRC file",
            30,
            False,
        ),
        (changed("10000.00", "90000.00"), "Far from the others in defocus or astigmatism: 1 particle.", 1, True),
        (
            changed("10000.00 9900.00", "0.00 0.00"),
            "Left out because of a defocus outside 50 to 100000 Å (rlnDefocusU, rlnDefocusV): 1 particle (row 1).",
            1,
            True,
        ),
        (
            changed("000002@", "000001@"),
            "Left out because of a duplicate of an earlier row: 1 particle (row 2).",
            1,
            True,
        ),
        (with_pixels(np.nan), "Left out because of pixels that are not finite: 1 particle (row 4).", 1, True),
        (with_pixels(2.0), "Left out because of a constant image: 1 particle (row 4).", 1, True),
    ],
)
def test_faults_are_told(
    star_set: Path, damage: Callable[[Path], object], words: str, unusable: int, fit: bool
) -> None:
    damage(star_set)
    found = inspect(star_set)
    assert any(words in warning for warning in found.warnings()), found.warnings()
    assert found.unusable_count == unusable
    assert found.fit == fit


def test_particles_of_one_half_set_are_no_set_to_reconstruct_from(star_set: Path) -> None:
    tables = read_star(star_set)
    write_star(star_set, {**tables, "particles": tables["particles"].assign(rlnRandomSubset=1)})
    found = inspect(star_set)
    assert not found.fit
    assert any(each.startswith("All particles are in half-set 1 (rlnRandomSubset). Fix:") for each in found.warnings())


def test_without_any_image_the_table_is_told(star_set: Path) -> None:
    for stack in (star_set.parent / "Extract").iterdir():
        stack.unlink()
    found = inspect(star_set)
    assert found.images is None
    assert not found.fit
    assert len(found) == COUNT


def test_all_missing_files_are_counted_also_without_a_box(star_set: Path) -> None:
    """A table of the old layout does not say the box; one file that is there does."""
    run_convert(ConvertConfig(source=star_set, target=star_set.with_name("old.star"), star_version="3.0"))
    old = star_set.with_name("old.star")
    old.write_text(old.read_text().replace("_rlnImageSize ", "_rlnOther "))
    (star_set.parent / "Extract" / "a.mrcs").unlink()
    assert inspect(old).box == 16
    (star_set.parent / "Extract" / "b.mrcs").unlink()
    found = inspect(old)
    assert (found.box, len(found), len(found.missing)) == (0, COUNT, 2)
    assert found.warnings()[0].startswith("2 of 2 image files are not there (60 particles)")
    assert "--data-dir" in found.warnings()[0]


def test_a_header_that_says_another_pixel_size_does_not_hold(star_set: Path) -> None:
    with mrcfile.open(star_set.parent / "Extract" / "b.mrcs", "r+") as stack:
        stack.voxel_size = 0.086
    found = inspect(star_set)
    assert found.fit
    assert found.pixel_size == 2.0
    assert "The header of b.mrcs says a pixel size of 0.086 Å; that of the table is used, 2 Å." in found.warnings()


def test_phase_shifts_in_radians_are_said_and_unfit(star_set: Path) -> None:
    text = star_set.read_text().replace("_rlnBeamTiltClass #13", "_rlnPhaseShift #13").replace(" 0007", " 1.5708")
    star_set.write_text(text)
    found = inspect(star_set)
    assert not found.fit
    assert any("All phase shifts lie between 0 and pi" in warning for warning in found.warnings())


def test_particles_never_aligned_are_counted(star_set: Path) -> None:
    tables = read_star(star_set)
    pose = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"]
    tables["particles"].loc[:6, pose] = 0.0
    write_star(star_set, tables)
    found = inspect(star_set)
    assert len(found.unaligned) == 7
    assert found.posed
    assert "Without a pose (rotation 0, or no number): 7 particles (rows 1, 2, 3 ...)." in found.warnings()


@pytest.mark.parametrize(
    ("in_radians", "problem"), [(1.0, "multiply rlnAngleRot, rlnAngleTilt, rlnAnglePsi by 57.296"), (0.5, "30 of 60")]
)
def test_angles_in_radians_are_no_poses(star_set: Path, in_radians: float, problem: str) -> None:
    assert inspect(star_set).posed
    tables = read_star(star_set)
    chosen = tables["particles"].index < in_radians * COUNT
    tables["particles"].loc[chosen, list(ANGLES)] = np.deg2rad(tables["particles"].loc[chosen, list(ANGLES)])
    write_star(star_set, tables)
    found = inspect(star_set)
    assert not found.posed
    assert any(warning.startswith("The poses cannot be used") and problem in warning for warning in found.warnings())
    with pytest.raises(InputError, match="degrees are expected"):
        posed_particles(read_particles(star_set))


@pytest.mark.parametrize("labels", [ANGLES[:2], ANGLES[1:], ANGLES[::2]])
def test_two_columns_in_radians_are_no_poses(star_set: Path, rng: np.random.Generator, labels: tuple[str, ...]) -> None:
    tables = read_star(star_set)
    angles = np.stack([rng.uniform(-180, 180, COUNT), rng.uniform(0, 180, COUNT), rng.uniform(-180, 180, COUNT)], 1)
    tables["particles"][list(ANGLES)] = angles
    tables["particles"][list(labels)] = np.deg2rad(tables["particles"][list(labels)])
    write_star(star_set, tables)
    problem, fix = inspect(star_set).pose_problem or ("", "")
    assert "degrees are expected" in problem
    assert fix.startswith(f"multiply {', '.join(labels)} by 57.296")


@pytest.mark.parametrize("angles", [(0.0, 90.0, None), (None, 90.0, None), (0.0, 5.0, None)])
def test_small_angles_in_one_column_are_no_radians(
    star_set: Path, rng: np.random.Generator, angles: tuple[float | None, ...]
) -> None:
    """A helix has tilts of 90 degrees, a top view small ones."""
    tables = read_star(star_set)
    for label, value in zip(ANGLES, angles, strict=True):
        tables["particles"][label] = rng.uniform(-180, 180, COUNT) if value is None else value
    tables["particles"].loc[0, list(ANGLES)] = 100.0
    write_star(star_set, tables)
    assert inspect(star_set).posed


def test_one_view_is_told(star_set: Path) -> None:
    tables = read_star(star_set)
    tables["particles"] = tables["particles"].assign(rlnAngleRot=30.0, rlnAngleTilt=40.0)
    write_star(star_set, tables)
    found = inspect(star_set)
    assert not found.posed
    assert any("all particles have the same view" in warning for warning in found.warnings())


def test_micrographs_of_another_defocus_are_no_outliers(star_set: Path) -> None:
    tables = read_star(star_set)
    tables["particles"].loc[45:, ["rlnDefocusU", "rlnDefocusV"]] += 9000.0
    write_star(star_set, tables)
    assert int(inspect(star_set).defocus.outliers.sum()) == 0


def test_only_a_sample_is_read(star_set: Path) -> None:
    found = inspect(star_set, sample=7, pictures=3)
    assert found.images is not None
    assert len(found.images.rows) == 7
    assert len(found.images.pictures) == 3
    assert set(found.images.picture_rows.tolist()) <= set(found.images.rows.tolist())


def test_the_page_needs_nothing_else(star_set: Path, tmp_path: Path) -> None:
    changed("10000.00", "90000.00")(star_set)
    text = write_inspection(tmp_path / "out", inspect(star_set)).read_text()
    assert text.count("<img") == text.count('src="data:') == 5
    assert "Far from the others in defocus or astigmatism: 1 particle." in text
    assert not re.search("https?:", text.replace("http://www.w3.org", ""))


def test_the_command(star_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", str(star_set), "-o", str(tmp_path / "out"), "--sample", "30"])
    text = capsys.readouterr().out
    assert "60 in 2 image files" in text
    assert "Protein is white" in text
    assert (tmp_path / "out" / "inspection.json").exists()
    with pytest.raises(SystemExit) as end:
        main(["inspect", str(star_set), "-o", str(tmp_path / "out")])
    assert end.value.code == 2
    assert "already holds a report" in capsys.readouterr().err
    (star_set.parent / "Extract" / "a.mrcs").unlink()
    with pytest.raises(SystemExit) as end:
        main(["inspect", str(star_set)])
    assert end.value.code == 1


def test_particles_of_one_defocus_leave_gaps(star_set: Path, tmp_path: Path) -> None:
    assert inspect(star_set).record()["ctf_gaps_A"] == []
    real = copy_particles(PARTICLES, tmp_path)
    whole = inspect(real, sample=50)
    assert whole.ctf_gaps == []
    lines = real.read_text().splitlines(keepends=True)
    micrograph = next(line.split()[1] for line in lines if "@" in line)
    real.write_text("".join(line for line in lines if "@" not in line or micrograph in line))
    one = inspect(real, sample=50)
    assert one.ctf_gaps
    assert any("CTFs of all particles together leave gaps at" in warning for warning in one.warnings())


def test_images_that_a_job_repairs_are_named(star_set: Path) -> None:
    with (star_set.parent / "Extract" / "a.mrcs").open("r+b") as stack:
        stack.seek(1024 + 8 * 4 * 16**2)
        stack.write(np.full(1, 1e7, "<f4").tobytes())
    found = inspect(star_set)
    assert found.fit
    assert any("To be repaired: row 9, a pixel " in warning for warning in found.warnings())
    assert list(found.record()["images"]["repairs"]) == [9]


def test_what_was_not_looked_at_is_said(star_set: Path) -> None:
    assert not any("looked at" in warning for warning in inspect(star_set).warnings())
    assert inspect(star_set, sample=7).warnings()[-1].startswith("7 of 60 images were read; a job checks every")


def test_fewer_particles_than_a_reconstruction_needs(tmp_path: Path, rng: np.random.Generator) -> None:
    """An inspection says what a job says."""
    star = write_star_set(tmp_path, blob_images(50, rng))
    assert inspect(star).fit
    changed("10000.00 9900.00", "0.00 0.00")(star)
    found = inspect(star)
    assert not found.fit
    assert "Only 49 particles can be used; a reconstruction needs at least 50." in found.warnings()
    with pytest.raises(SystemExit) as end:
        main(["reconstruct", str(star), "-o", str(tmp_path / "job")])
    assert end.value.code == 2


def test_a_particle_that_fills_its_box_is_told(tmp_path: Path, rng: np.random.Generator) -> None:
    """Discs of 20 px in a box of 48 have room; in one of 24, cut from the same images, they have not."""
    star = disc_set(tmp_path, rng, 0.6)
    assert not [warning for warning in inspect(star).warnings() if "too tight" in warning]
    file = tmp_path / "Extract" / "a.mrcs"
    with mrcfile.open(file) as stack:
        middle = stack.data[:, 12:36, 12:36].copy()
    write_stack(file, middle)
    for _ in range(2):
        changed(f" {BOX} 2\n", " 24 2\n")(star)
    (told,) = [warning for warning in inspect(star).warnings() if "too tight" in warning]
    assert told.startswith("The box of 48 Å is too tight for a particle of")
    assert "Fix: extract the particles in a box of at least" in told


def test_denoised_images_are_told(tmp_path: Path, rng: np.random.Generator) -> None:
    star = disc_set(tmp_path, rng, 0.6)
    assert not [warning for warning in inspect(star).warnings() if "hardly any noise" in warning]
    file = tmp_path / "Extract" / "a.mrcs"
    with mrcfile.open(file) as stack:
        smooth = ndimage.gaussian_filter(stack.data, (0, 1.2, 1.2), mode="wrap")
    write_stack(file, smooth)
    (told,) = [warning for warning in inspect(star).warnings() if "hardly any noise" in warning]
    assert "denoised, low-passed or enlarged" in told
    assert "Fix: extract the particles from the micrographs as recorded." in told


def test_images_without_a_ctf_need_no_columns_of_it(tmp_path: Path, rng: np.random.Generator) -> None:
    star = disc_set(tmp_path, rng, 0.6)
    changed("_rlnDefocusU ", "_rlnNothing ")(star)
    with pytest.raises(InputError, match=r"no column rlnDefocusU(.|\n)*--no-ctf"):
        inspect(star)
    found = inspect(star, ctf=False)
    assert found.fit
    assert found.images is not None
    assert found.images.diameter == pytest.approx(2 * RADIUS * PIXEL_SIZE, abs=3 * PIXEL_SIZE)


@pytest.mark.parametrize("data", [PARTICLES, COARSE_PARTICLES])
def test_nothing_is_said_against_real_images(data: str, tmp_path: Path) -> None:
    found = inspect(copy_particles(data, tmp_path / data), sample=300)
    assert found.images is not None
    assert found.images.contradiction is None
    assert found.images.doubts == ()
