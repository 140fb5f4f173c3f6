"""Images that are not like the others, wherever they stand: found, named, repaired where they are read or set aside."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.core.errors import InputError
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.io.checks import CheckReport, check_particles
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.set_aside import REPAIR, write_set_aside
from cryorbit.io.star import read_star
from cryorbit.recipes.image_warnings import on_defects
from small_sets import BOX, blob_images, write_stack, write_star_set

COUNT = 200
HALF = COUNT // 2
OUTSIDE = np.hypot(*(np.mgrid[:BOX, :BOX] - BOX // 2)) > 0.45 * BOX
"""The background, by its own definition."""
PLACES = st.integers(0, COUNT - 1)
PIXELS = st.integers(0, BOX**2 - 1)


class SmallSet:
    """A set of good images whose stacks can be spoilt for a while."""

    def __init__(self, folder: Path) -> None:
        self.images = blob_images(COUNT, np.random.default_rng(5))
        self.star = write_star_set(folder, self.images)
        self.stacks = [self.star.parent / "Extract" / name for name in ("a.mrcs", "b.mrcs")]

    @contextmanager
    def changed(self, images: np.ndarray) -> Iterator[Particles]:
        """The set with other pixels."""
        whole = [stack.read_bytes() for stack in self.stacks]
        try:
            for stack, head, part in zip(self.stacks, whole, np.split(images.astype("<f4"), 2), strict=True):
                stack.write_bytes(head[:1024] + part.tobytes())
            yield read_particles(self.star)
        finally:
            for stack, content in zip(self.stacks, whole, strict=True):
                stack.write_bytes(content)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> SmallSet:
    return SmallSet(tmp_path_factory.mktemp("small"))


def name_of(place: int) -> str:
    return f"{place % HALF + 1:06d}@Extract/{'ab'[place // HALF]}.mrcs"


def read_all(particles: Particles, report: CheckReport) -> np.ndarray:
    """Images of the particles to use, as inference gets them."""
    used = particles.subset(report.keep)
    source = ParticleSource.of(used, report.grey.levels, torch.device("cpu"), inverted=False)
    return source.read(torch.arange(len(used))).numpy()


def test_good_images_keep_every_bit(small_set: SmallSet) -> None:
    particles = read_particles(small_set.star)
    report = check_particles(particles)
    assert report.grey.levels is None
    assert report.repaired.empty
    assert report.notes == [report.grey.contrast, report.grey.normalisation]
    assert read_all(particles, report).tobytes() == small_set.images.tobytes()


@settings(deadline=None, max_examples=40)
@given(place=PLACES, pixel=PIXELS, value=st.sampled_from([np.nan, np.inf, -np.inf, "constant", "rounding", "tiny"]))
def test_an_image_without_remedy_is_set_aside(small_set: SmallSet, place: int, pixel: int, value: float | str) -> None:
    images = small_set.images.copy()
    if isinstance(value, str):
        images[place] *= {"constant": 0, "rounding": 1e-7, "tiny": 1e-40}[value]
        images[place] += 0 if value == "tiny" else 7.25
    else:
        images[place].flat[pixel] = value
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    reason = "a constant image" if isinstance(value, str) else "pixels that are not finite"
    assert report.set_aside.values.tolist() == [[place + 1, name_of(place), reason]]
    assert f"row {place + 1} ({name_of(place)}), {reason}" in report.notes[-1]
    assert read.tobytes() == np.delete(small_set.images, place, 0).tobytes()


@settings(deadline=None, max_examples=60)
@given(
    place=PLACES,
    pixel=PIXELS,
    size=st.floats(20, 1e30) | st.sampled_from([20.0, 300.0, 1e7]),
    sign=st.sampled_from([-1, 1]),
)
def test_an_outlying_pixel_is_replaced(small_set: SmallSet, place: int, pixel: int, size: float, sign: int) -> None:
    images = small_set.images.copy()
    images[place].flat[pixel] = sign * size
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    assert report.repaired["row"].tolist() == [place + 1]
    assert report.repaired["image"].tolist() == [name_of(place)]
    assert "standard deviations from the others" in report.repaired["reason"][0]
    assert not report.grey.needs_normalisation
    differs = read != small_set.images
    assert np.flatnonzero(differs).tolist() == [place * BOX**2 + pixel]
    assert read[differs][0] == pytest.approx(np.median(images[place]), abs=0.05)


@pytest.mark.parametrize(("pixels", "part"), [([90], 1.0), ([0], 0.8), ([3, 128, 255], 1.0)])
@pytest.mark.parametrize("size", [25.0, -500.0, 1e20])
def test_a_defect_that_most_images_have_is_replaced(
    small_set: SmallSet, pixels: list[int], part: float, size: float
) -> None:
    images = small_set.images.copy().reshape(COUNT, BOX**2)
    spoilt = np.arange(COUNT) < part * COUNT
    images[np.ix_(spoilt, pixels)] += np.float32(size)
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    assert report.repaired["row"].tolist() == (np.flatnonzero(spoilt) + 1).tolist()
    assert report.set_aside.empty
    assert not report.grey.needs_normalisation
    differs = (read != small_set.images).reshape(COUNT, BOX**2)
    assert differs[np.ix_(spoilt, pixels)].all()
    assert differs.sum() == spoilt.sum() * len(pixels)


@settings(deadline=None, max_examples=40)
@given(place=PLACES, mean=st.floats(-20, 20), log_std=st.floats(-3, 4).filter(lambda value: abs(value) > 0.4))
def test_raw_grey_values_are_brought_to_those_of_the_others(
    small_set: SmallSet, place: int, mean: float, log_std: float
) -> None:
    """A mean of some standard deviations, and standard deviations of 0.001 to 10,000."""
    images = small_set.images.copy()
    images[place] = (images[place] + mean) * 10**log_std
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    assert report.repaired["row"].tolist() == [place + 1]
    assert "(normalised)" in report.repaired["reason"][0]
    others = np.delete(np.arange(COUNT), place)
    assert read[others].tobytes() == small_set.images[others].tobytes()
    background = read[place][OUTSIDE].astype(float)
    typical = small_set.images[:, OUTSIDE].astype(float)
    assert background.mean() == pytest.approx(np.median(typical.mean(1)), abs=0.01)
    assert background.std() == pytest.approx(np.median(typical.std(1)), rel=0.01)
    # the picture is the same one
    assert np.corrcoef(read[place].ravel(), small_set.images[place].ravel())[0, 1] > 1 - 1e-5


def test_raw_grey_values_with_an_outlier_are_measured_without_it(small_set: SmallSet) -> None:
    images = small_set.images.copy()
    images[57] = 500 * images[57] + 10_000
    images[57, 0, 0] = 1e9
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    first, second = report.repaired["reason"][0].split("; ")
    assert first.startswith("a pixel 2")
    images[57, 0, 0] = np.quantile(images[57], 0.5, method="higher")
    background = images[57][OUTSIDE].astype(float)
    numbers = f"mean {background.mean():.3g} and standard deviation {background.std(ddof=1):.3g}"
    assert second == f"a background of {numbers} (normalised)"
    standard = (images[57] - background.mean()) / background.std(ddof=1)
    typical = small_set.images[:, OUTSIDE].astype(float)
    expected = standard * np.median(typical.std(1, ddof=1)) + np.median(typical.mean(1))
    np.testing.assert_allclose(read[57], expected, atol=0.01)


def test_a_mixture_of_raw_and_normalised_micrographs(small_set: SmallSet) -> None:
    """Three micrographs of ten particles are raw: every image is normalised, and the odd ones are named."""
    raw = np.r_[0:10, 90:100, 150:160]
    images = small_set.images.copy()
    images[raw] = 20 * images[raw] + 100
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    assert report.grey.needs_normalisation
    assert "15 % of the images are not normalised" in report.grey.normalisation
    assert report.repaired["row"].tolist() == (raw + 1).tolist()
    assert "and 27 more" in report.notes[-1]
    np.testing.assert_allclose(read[:, OUTSIDE].mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(read[:, OUTSIDE].std(1, ddof=1), 1, rtol=1e-5)


def test_a_set_that_nobody_normalised_names_no_image(small_set: SmallSet) -> None:
    images = (
        small_set.images * np.linspace(10, 300, COUNT)[:, None, None] + np.linspace(-500, 5000, COUNT)[:, None, None]
    )
    images[33] = images[33, 0, 0]
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    assert report.grey.needs_normalisation
    assert report.repaired.empty
    assert report.set_aside["row"].tolist() == [34]
    np.testing.assert_allclose(read[:, OUTSIDE].std(1, ddof=1), 1, rtol=1e-4)


def test_masked_images_are_read_as_finite_numbers(small_set: SmallSet) -> None:
    """Their backgrounds hold no noise to be measured by."""
    images = np.where(OUTSIDE, 0, small_set.images)
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    assert len(report.keep) == COUNT
    assert report.grey.masked
    assert "The images were masked: 100 % hold no noise" in report.notes[1]
    np.testing.assert_allclose(read.reshape(COUNT, -1).std(1, ddof=1), 1, rtol=1e-5)


@pytest.mark.parametrize(("radius", "part", "masked"), [(0.49, 1.0, True), (0.25, 0.8, True), (0.25, 0.2, False)])
def test_masks_are_named_where_most_images_have_one(
    small_set: SmallSet, radius: float, part: float, masked: bool
) -> None:
    outside = np.hypot(*(np.mgrid[:BOX, :BOX] - BOX // 2)) > radius * BOX
    images = small_set.images.copy()
    # zeros, or another constant
    images[: int(part * COUNT) : 2, outside] = 0
    images[1 : int(part * COUNT) : 2, outside] = 7.5
    with small_set.changed(images) as particles:
        assert check_particles(particles).grey.masked == masked


def test_a_mask_may_leave_faint_noise(small_set: SmallSet) -> None:
    faint = np.where(OUTSIDE, 1e-3 * small_set.images, small_set.images)
    with small_set.changed(faint) as particles:
        assert check_particles(particles).grey.masked


@pytest.mark.parametrize("axis", ["row", "column"])
def test_a_line_that_all_images_have_is_replaced(small_set: SmallSet, axis: str) -> None:
    """Eight standard deviations: no pixel of it is an outlier by itself."""
    images = small_set.images.copy()
    line = (slice(None), 3) if axis == "row" else (slice(None), slice(None), 3)
    images[line] += 8
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    assert np.abs(read[line]).max() < 0.5
    read[line] = small_set.images[line]
    assert read.tobytes() == small_set.images.tobytes()
    assert report.repaired.empty


def test_one_masked_image_among_others_is_repaired(small_set: SmallSet) -> None:
    images = small_set.images.copy()
    images[140] = 300 * np.where(OUTSIDE, 0, images[140])
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    assert report.repaired["row"].tolist() == [141]
    assert read[140].std() == pytest.approx(1, abs=0.1)


def test_bright_views_without_noise_are_no_outliers(small_set: SmallSet) -> None:
    """What stands out of images without noise is the particle, and its views differ."""
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    height = np.random.default_rng(1).uniform(0.7, 1.5, (COUNT, 1, 1))
    images = 100 * height * np.exp(-0.5 * (x**2 + y**2) * height) + 1e-3 * small_set.images
    with small_set.changed(images) as particles:
        report = check_particles(particles)
    assert not any("standard deviations from the others" in reason for reason in report.repaired["reason"])


def test_images_multiplied_with_their_ctf_keep_their_noise_but_not_raw_grey_values(small_set: SmallSet) -> None:
    images = small_set.images * np.linspace(0.4, 1.4, COUNT)[:, None, None].astype(np.float32)
    images[11] = 30 * images[11] + 1000
    text = small_set.star.read_text()
    head, _, rows = text.partition("_rlnImageDimensionality #8\n")
    optics, _, rest = rows.partition("\n\n")
    flagged = "\n".join(f"{row} 1" for row in optics.splitlines())
    marked = small_set.star.with_name("premultiplied.star")
    marked.write_text(f"{head}_rlnImageDimensionality #8\n_rlnCtfDataAreCtfPremultiplied #9\n{flagged}\n\n{rest}")
    with small_set.changed(images):
        particles = read_particles(marked)
        report = check_particles(particles)
        read = read_all(particles, report)
    assert report.repaired["row"].tolist() == [12]
    others = np.delete(np.arange(COUNT), 11)
    assert read[others].tobytes() == images[others].astype(np.float32).tobytes()
    assert read[11][OUTSIDE].std() == pytest.approx(0.9, rel=0.1)


def test_what_is_spoilt_after_the_check_is_caught_where_it_is_read(small_set: SmallSet) -> None:
    """Not a number of a stack that another program writes to reaches inference."""
    with small_set.changed(small_set.images) as particles:
        report = check_particles(particles)
        with small_set.stacks[1].open("r+b") as stack:
            stack.seek(1024 + 4 * BOX**2 * 41 + 4 * 77)
            stack.write(struct.pack("<f", np.nan))
        with pytest.raises(InputError, match=r"b\.mrcs: image 42 has pixels that are not finite"):
            read_all(particles, report)


def test_repaired_images_are_listed_with_what_was_done(small_set: SmallSet, tmp_path: Path) -> None:
    images = small_set.images.copy()
    images[3, 4, 4] = 1e7
    images[150] = 500 * images[150] + 10_000
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        write_set_aside(tmp_path / "set_aside.star", particles, report)
    table = read_star(tmp_path / "repaired.star")["particles"]
    assert table["rlnImageName"].str.partition("@")[0].tolist() == ["000004", "000051"]
    assert table[REPAIR].tolist() == report.repaired["reason"].tolist()
    assert len(read_star(tmp_path / "set_aside.star")["particles"]) == 0


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float16])
def test_outliers_of_every_kind_of_values(tmp_path: Path, rng: np.random.Generator, dtype: type) -> None:
    images = np.round(4 * blob_images(60, rng) + 30)
    images[41, 2, 9] = 127
    star = write_star_set(tmp_path, np.zeros((60, BOX, BOX), np.float32))
    for name, part in zip(("a", "b"), np.split(images.astype(dtype), 2), strict=True):
        write_stack(tmp_path / "Extract" / f"{name}.mrcs", part)
    assert check_particles(read_particles(star)).repaired["row"].tolist() == [42]


def spot(y: float, x: float, radius: float) -> np.ndarray:
    return np.hypot(*(np.mgrid[:BOX, :BOX] - np.array([y, x])[:, None, None])) <= radius


@pytest.mark.parametrize("height", [-12.0, -2.5, 2.0])
@pytest.mark.parametrize(("y", "x", "radius"), [(3, 11, 0), (0, 0, 0), (12, 4, 2), (9, 13, 1)])
def test_a_mark_that_all_images_have_is_replaced(
    small_set: SmallSet, y: int, x: int, radius: int, height: float
) -> None:
    """Dust on the camera or a weak pixel: faint marks are told of the set, strong ones of each image."""
    mark = spot(y, x, radius)
    images = small_set.images + np.where(mark, height, 0).astype(np.float32)
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    assert np.abs(np.median(read[:, mark], 0)).max() < 0.3
    assert np.abs(read[:, mark]).mean() < 0.5
    # beside a strong mark, the farthest pixels of noise may be taken for outliers
    assert (read[:, ~mark] != small_set.images[:, ~mark]).mean() <= (1e-3 if height < -10 else 0)
    assert report.set_aside.empty
    assert not report.grey.needs_normalisation
    assert report.grey.levels is not None
    assert len(report.repaired) in (0, COUNT)
    if report.repaired.empty:
        (said,) = on_defects(report.grey.levels)
        count = int(mark.sum())
        assert f"{'1 pixel' if count == 1 else f'{count} pixels'} about row {y + 1}, column {x + 1} of 16" in said


def test_beads_beside_the_particle_in_all_images(small_set: SmallSet) -> None:
    """Of gold, of 12 standard deviations, at another place in each."""
    angles = np.random.default_rng(2).uniform(0, 2 * np.pi, COUNT)
    beads = np.stack([spot(8 + 6 * np.sin(a), 8 + 6 * np.cos(a), 1) for a in angles])
    images = small_set.images - np.where(beads, 12, 0).astype(np.float32)
    with small_set.changed(images) as particles:
        report = check_particles(particles)
        read = read_all(particles, report)
    assert len(report.repaired) == COUNT
    assert np.abs(read[beads]).mean() < 0.5
    assert read[~beads].tobytes() == small_set.images[~beads].tobytes()


@pytest.mark.parametrize("views", [3, 40])
def test_lopsided_particles_without_noise_have_no_marks(small_set: SmallSet, views: int) -> None:
    """In any direction of the plane."""
    rng = np.random.default_rng(6)
    angle = rng.uniform(0, 2 * np.pi, COUNT)[:, None, None]
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    sizes = np.resize(np.linspace(1.5, 3, views), COUNT)[:, None, None]
    images = 20 * np.exp(-0.5 * ((along - 2) / sizes) ** 2 - 0.5 * (across / 1.5) ** 2) + 0.05 * small_set.images
    with small_set.changed(images) as particles:
        levels = check_particles(particles).grey.levels
    assert levels is not None
    assert levels.spoilt is None
