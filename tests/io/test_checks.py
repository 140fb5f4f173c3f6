"""Checks before work: verdicts on contrast and normalisation, and which particles are set aside and why."""

from dataclasses import fields
from pathlib import Path
from threading import get_ident

import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.checks import check_particles
from cryorbit.io.image_stack import ImageStack
from cryorbit.io.image_statistics import image_statistics
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from group_threads import in_threads
from small_sets import blob_images, write_star_set


def changed_row(star: Path, row: int, column: int, value: str) -> None:
    """Put a value at a row (from 1) and column (from 0) of the particle table."""
    lines = star.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("000001@"))
    values = lines[first + row - 1].split()
    values[column] = value
    lines[first + row - 1] = " ".join(values)
    star.write_text("\n".join(lines) + "\n")


def test_a_good_set_passes_whole(star_set: Path) -> None:
    report = check_particles(read_particles(star_set))
    assert report.keep.tolist() == list(range(40))
    assert report.set_aside.empty
    assert list(report.set_aside.columns) == ["row", "image", "reason"]
    assert not report.grey.inverted
    assert report.grey.contrast.startswith("Protein is white")
    assert not report.grey.needs_normalisation
    assert report.grey.normalisation.startswith("The images are normalised")


@pytest.mark.parametrize(
    ("sign", "inverted", "verdict"), [(1.0, False, "white"), (-1.0, True, "dark"), (0.0, False, "ambiguous")]
)
def test_the_sign_of_the_contrast(
    tmp_path: Path, rng: np.random.Generator, sign: float, inverted: bool, verdict: str
) -> None:
    images = blob_images(200, rng, sign=0.5 * sign)
    report = check_particles(read_particles(write_star_set(tmp_path, images)))
    assert report.grey.inverted is inverted
    assert verdict in report.grey.contrast


def test_a_quarter_of_junk_does_not_decide_the_contrast(tmp_path: Path, rng: np.random.Generator) -> None:
    images = blob_images(200, rng, sign=0.5)
    images[::4] = blob_images(50, rng, sign=-20.0)
    report = check_particles(read_particles(write_star_set(tmp_path, images)))
    assert report.grey.contrast.startswith("Protein is white")


def test_noise_alone_is_ambiguous_for_every_seed(tmp_path: Path) -> None:
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        star = write_star_set(folder, blob_images(60, np.random.default_rng(seed), sign=0.0))
        assert "ambiguous" in check_particles(read_particles(star)).grey.contrast


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.8), (3.0, 0.0), (0.1, 0.0), (1e-3, 5.0)])
def test_images_far_from_normal_need_normalisation(
    tmp_path: Path, rng: np.random.Generator, scale: float, offset: float
) -> None:
    images = (scale * blob_images(40, rng) + offset).astype(np.float32)
    report = check_particles(read_particles(write_star_set(tmp_path, images)))
    assert report.grey.needs_normalisation
    assert "100 % of the images are not normalised" in report.grey.normalisation
    assert report.grey.contrast.startswith("Protein is white")


def test_images_multiplied_with_their_ctf_keep_their_grey_values(
    tmp_path: Path, images: np.ndarray, star_set: Path
) -> None:
    """Their noise is that of the CTF; the same images without the flag need normalisation."""
    head, _, rows = star_set.read_text().partition("_rlnImageDimensionality #8\n")
    optics, _, rest = rows.partition("\n\n")
    optics = "\n".join(f"{row} 1" for row in optics.splitlines())
    marked = f"{head}_rlnImageDimensionality #8\n_rlnCtfDataAreCtfPremultiplied #9\n{optics}\n\n{rest}"
    (tmp_path / "weak").mkdir()
    weak = write_star_set(tmp_path / "weak", (0.4 * images).astype(np.float32))
    assert check_particles(read_particles(weak)).grey.needs_normalisation
    weak.write_text(marked)
    report = check_particles(read_particles(weak))
    assert not report.grey.needs_normalisation
    assert report.grey.normalisation.startswith("Grey values are taken as they are")


def test_masked_images_need_normalisation(tmp_path: Path, images: np.ndarray) -> None:
    y, x = np.mgrid[:16, :16] - 8
    masked = np.where(np.hypot(x, y) < 7, images, 0).astype(np.float32)
    report = check_particles(read_particles(write_star_set(tmp_path, masked)))
    assert report.grey.needs_normalisation
    assert len(report.keep) == 40


DEFOCUS = "a defocus outside 50 to 100000 Å (rlnDefocusU, rlnDefocusV)"


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (3, "-5000", DEFOCUS),
        (3, "1.2", DEFOCUS),
        (3, "nan", DEFOCUS),
        (4, "150000", DEFOCUS),
        (4, "60000", "astigmatism outside 0 to 20000 Å (rlnDefocusU, rlnDefocusV)"),
        (5, "inf", "an angle of astigmatism outside -1080 to 1080 degrees (rlnDefocusAngle)"),
        (5, "1e4", "an angle of astigmatism outside -1080 to 1080 degrees (rlnDefocusAngle)"),
        (9, "1e6", "a shift outside -16 to 16 pixels, the box (rlnOriginXAngst, rlnOriginYAngst)"),
    ],
)
def test_a_particle_with_impossible_metadata_is_set_aside(star_set: Path, column: int, value: str, reason: str) -> None:
    changed_row(star_set, 7, column, value)
    report = check_particles(read_particles(star_set))
    assert report.set_aside["row"].tolist() == [7]
    assert reason in report.set_aside["reason"][0].split("; ")
    assert report.keep.tolist() == [*range(6), *range(7, 40)]


@pytest.mark.parametrize(
    ("label", "value", "reason"),
    [
        ("300.000000", "5", "voltage"),
        ("300.000000", "300000", "voltage"),
        ("0.100000", "1.2", "amplitude contrast"),
        ("2.700000", "-1", "spherical aberration"),
    ],
)
def test_an_impossible_microscope_refuses_the_set(star_set: Path, label: str, value: str, reason: str) -> None:
    star_set.write_text(star_set.read_text().replace(label, value))
    with pytest.raises(InputError, match=reason):
        check_particles(read_particles(star_set))


def test_the_rows_of_a_subset_are_those_of_the_file(star_set: Path) -> None:
    changed_row(star_set, 39, 3, "nan")
    report = check_particles(read_particles(star_set).subset(torch.arange(20, 40)))
    assert report.set_aside["row"].tolist() == [39]
    assert report.set_aside["image"].tolist() == ["000019@Extract/b.mrcs"]
    assert report.keep.tolist() == [*range(18), 19]


def test_the_limit_on_bad_particles(star_set: Path) -> None:
    for row in range(1, 5):
        changed_row(star_set, row, 3, "nan")
    particles = read_particles(star_set)
    assert len(check_particles(particles, max_bad_fraction=0.1).keep) == 36
    with pytest.raises(InputError, match="row 1: 4 of 40 particles are unusable"):
        check_particles(particles, max_bad_fraction=0.09)


def test_every_image_is_looked_at(tmp_path: Path) -> None:
    """Two constant images among more than an evenly spaced sample would hold."""
    images = np.random.default_rng(1).standard_normal((20_100, 16, 16)).astype(np.float32)
    images[[1, 20_099]] = 0
    star = write_star_set(tmp_path, images)
    tables = read_star(star)
    tables["particles"]["rlnDefocusU"] = tables["particles"]["rlnDefocusV"] = 15_000.0
    write_star(star, tables)
    report = check_particles(read_particles(star))
    assert report.set_aside["row"].tolist() == [2, 20_100]


@pytest.mark.parametrize("processes", [2, 3, 9])
def test_processes_read_a_share_of_the_images_each(
    tmp_path: Path, images: np.ndarray, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead pixel in all images and outliers in one have them measured again, which is shared, too."""
    monkeypatch.setattr("cryorbit.io.image_statistics.BUDGET_BYTES", 5 * 4 * 16**2 * 3)  # three images a chunk
    spoilt = images.copy()
    spoilt[:, 5, 7] = 40.0
    spoilt[11, 2, 2] = 1e6
    particles = read_particles(write_star_set(tmp_path, spoilt))
    alone = check_particles(particles)
    read: dict[int, int] = {}
    whole = ImageStack.read

    def counted(stack: ImageStack, index: torch.Tensor) -> torch.Tensor:
        read[get_ident()] = read.get(get_ident(), 0) + len(index)
        return whole(stack, index)

    monkeypatch.setattr(ImageStack, "read", counted)
    for mine in in_threads(processes, lambda group: check_particles(particles, group=group)):
        for field in fields(alone.grey.levels):
            theirs, ours = (getattr(report.grey.levels, field.name) for report in (mine, alone))
            assert theirs is ours is None or torch.equal(theirs, ours)
        assert mine.repaired.equals(alone.repaired)
        assert mine.keep.equal(alone.keep)
    # each samples 40 images of its own, and reads its share once or twice
    assert max(read.values()) < 40 * 3 + 2 * (40 / processes + 3)


def test_a_damaged_stack_is_told_by_all_processes(tmp_path: Path, images: np.ndarray) -> None:
    star = write_star_set(tmp_path, images)
    particles = read_particles(star)

    def cut_short(_stack: object, index: torch.Tensor) -> torch.Tensor:
        if int(index.max()) > 30:
            raise InputError("the stack is cut short", file=star, fix="copy it again")
        return torch.from_numpy(images)[index]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cryorbit.io.image_statistics.BUDGET_BYTES", 5 * 4 * 16**2 * 3)
        patch.setattr(ImageStack, "read", cut_short)
        told = in_threads(3, lambda group: image_statistics(particles.images, group=group))
    assert [str(error) for error in told] == [f"{star}: the stack is cut short\n  fix: copy it again"] * 3


def test_statistics_against_plain_sums(star_set: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryorbit.io.image_statistics.BUDGET_BYTES", 5 * 4 * 16**2 * 3)  # three images a chunk
    statistics = image_statistics(read_particles(star_set).images)
    radius = np.hypot(*(np.mgrid[:16, :16] - 8))
    outside = images[:, radius > 7.2].astype(float)
    np.testing.assert_allclose(statistics.background_mean, outside.mean(1), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(statistics.background_std, outside.std(1, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(
        statistics.centre_mean, images[:, radius < 3.2].astype(float).mean(1), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(statistics.spread, images.reshape(40, -1).astype(float).std(1, ddof=1), rtol=1e-12)
    assert bool(statistics.finite.all())
