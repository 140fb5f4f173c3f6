"""The particle's diameter: found for a phantom of known size, not found in noise."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cryorbit.imaging.masks import soft_ball
from cryorbit.inference.diameter import (
    MeanProfile,
    described,
    enclosing_radius,
    estimate_diameter,
    mean_of_like,
    ring_means,
)
from cryorbit.inference.noise import background_spectrum
from cryorbit.io.survey import survey
from cryorbit.simulate.microscope import Microscope, draw_ctf
from phantom_sets import phantom_set, write_source

BOX, PIXEL_SIZE = 48, 4.0


@pytest.mark.parametrize("radius", [7.0, 12.0])
def test_a_ball_of_known_size(radius: float, tmp_path: Path, generator: torch.Generator) -> None:
    """Not smaller than it is, and larger by no more than what the CTF and the shifts spread, some 18 A to a side."""
    ball = soft_ball(BOX, radius, 1.0) * (1 + 0.5 * torch.randn(BOX, BOX, BOX, generator=generator))
    particles = phantom_set(tmp_path, [ball], 150, 0.3, generator, pixel_size=PIXEL_SIZE, shift_sigma=0.5)
    diameter = estimate_diameter(particles.source, particles.everything).diameter
    assert diameter is not None
    truth = 2 * radius * PIXEL_SIZE
    assert 0.8 * truth <= diameter <= truth + 36


def textured_shell(radius: float, generator: torch.Generator) -> torch.Tensor:
    """A hollow ball, its wall three tenths of the radius thick."""
    wall = soft_ball(BOX, radius, 1.0) - soft_ball(BOX, 0.7 * radius, 1.0)
    return wall * (1 + 0.5 * torch.randn(BOX, BOX, BOX, generator=generator))


def test_a_hollow_particle(tmp_path: Path, generator: torch.Generator) -> None:
    """A shell has little in the middle; its edge is found to a tenth, without what the CTF carries beyond it."""
    shell = textured_shell(15.5, generator)
    particles = phantom_set(tmp_path, [shell], 150, 0.1, generator, pixel_size=PIXEL_SIZE, shift_sigma=0.5)
    found = estimate_diameter(particles.source, particles.everything)
    assert found.diameter == pytest.approx(2 * 16 * PIXEL_SIZE, rel=0.1)
    assert "hollow" in found.evidence


def test_a_hollow_particle_among_neighbours(tmp_path: Path, generator: torch.Generator) -> None:
    """Six neighbours that nearly touch it raise the corners above the middle: variance alone finds nothing there."""
    radius = 11.5
    shell = textured_shell(radius, generator)
    alone = phantom_set(tmp_path, [shell], 150, 0.1, generator, pixel_size=PIXEL_SIZE, shift_sigma=0.5)
    images = alone.source.read(alone.everything)
    angles = torch.arange(6) * torch.pi / 3
    for angle in angles:
        distance = 2.2 * radius
        offset = (round(distance * float(angle.sin())), round(distance * float(angle.cos())))
        images = images + shifted(alone.source.read(alone.everything.roll(7)), offset)
    crowded = write_source(tmp_path / "crowded.mrcs", images, alone.source.ctf, PIXEL_SIZE)
    found = estimate_diameter(crowded, alone.everything)
    assert found.diameter == pytest.approx(2 * (radius + 0.5) * PIXEL_SIZE, rel=0.1)
    assert "neighbours" in found.evidence


def shifted(images: torch.Tensor, offset: tuple[int, int]) -> torch.Tensor:
    """The images moved by whole pixels, with zeros where nothing comes in."""
    moved = torch.zeros_like(images)
    (ty, fy), (tx, fx) = (_overlap(step) for step in offset)
    moved[:, ty, tx] = images[:, fy, fx]
    return moved


def _overlap(step: int) -> tuple[slice, slice]:
    """Where a move along one axis puts pixels, and where it takes them from."""
    return slice(max(step, 0), BOX + min(step, 0)), slice(max(-step, 0), BOX + min(-step, 0))


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_diameter(seed: int, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(seed)
    ctf, _ = draw_ctf(200, Microscope(), generator)
    source = write_source(tmp_path / "noise.mrcs", torch.randn(200, BOX, BOX, generator=generator), ctf, PIXEL_SIZE)
    found = estimate_diameter(source, torch.arange(200))
    assert found.diameter is None
    assert "noise" in found.evidence


@pytest.mark.parametrize("part", [0.05, 0.2])
@pytest.mark.parametrize("value", [0.0, -8.0])
def test_padded_images_do_not_decide(part: float, value: float, tmp_path: Path, generator: torch.Generator) -> None:
    """A fraction of the images has a strip without noise: the diameter is that without them."""
    ball = soft_ball(BOX, 12.0, 1.0) * (1 + 0.5 * torch.randn(BOX, BOX, BOX, generator=generator))
    whole = phantom_set(tmp_path, [ball], 150, 0.3, generator, pixel_size=PIXEL_SIZE, shift_sigma=0.5)
    images = whole.source.read(whole.everything)
    padded = torch.randperm(150, generator=generator)[: int(part * 150)]
    images[padded, : BOX // 4] = value
    spoilt = write_source(tmp_path / "padded.mrcs", images, whole.source.ctf, PIXEL_SIZE)
    levels = survey(spoilt.images)[1]
    source = replace(spoilt, operators=(levels,), padded=levels.padded)
    truth = estimate_diameter(whole.source, whole.everything).diameter
    assert estimate_diameter(source, whole.everything).diameter == pytest.approx(truth, rel=0.05)
    radius = 12.0
    expected = background_spectrum(whole.source, whole.everything, radius)
    torch.testing.assert_close(background_spectrum(source, whole.everything, radius), expected, rtol=0.2, atol=0)


def test_bright_spots_in_some_images_do_not_decide(tmp_path: Path, generator: torch.Generator) -> None:
    """Beads that are too common to be outliers, each near its own corner."""
    ball = soft_ball(BOX, 12.0, 1.0) * (1 + 0.5 * torch.randn(BOX, BOX, BOX, generator=generator))
    whole = phantom_set(tmp_path, [ball], 150, 0.3, generator, pixel_size=PIXEL_SIZE, shift_sigma=0.5)
    images = whole.source.read(whole.everything)
    images[::5, 2:7, 3:8] = -12.0
    beads = write_source(tmp_path / "beads.mrcs", images, whole.source.ctf, PIXEL_SIZE)
    truth = estimate_diameter(whole.source, whole.everything).diameter
    assert estimate_diameter(beads, whole.everything).diameter == pytest.approx(truth, rel=0.05)


def test_pixels_that_are_spoilt_in_all_images(tmp_path: Path, generator: torch.Generator) -> None:
    """A bar at the border takes noise out of the corners; the diameter stays that of the images without it."""
    ball = soft_ball(BOX, 9.0, 1.0) * (1 + 0.5 * torch.randn(BOX, BOX, BOX, generator=generator))
    sound = phantom_set(tmp_path, [ball], 300, 0.3, generator, pixel_size=PIXEL_SIZE, shift_sigma=0.5)
    images = sound.source.read(sound.everything)
    images[:, :, :4] += 0.4
    barred = write_source(tmp_path / "barred.mrcs", images, sound.source.ctf, PIXEL_SIZE)
    levels = survey(barred.images)[1]
    assert levels.spoilt is not None
    assert levels.spoilt.sum() == 4 * BOX
    repaired = replace(barred, operators=(levels,), spoilt=levels.spoilt)
    expected, found = (estimate_diameter(each, sound.everything).diameter for each in (sound.source, repaired))
    assert expected is not None
    assert found == pytest.approx(expected, abs=2 * PIXEL_SIZE)
    unaware = estimate_diameter(replace(repaired, spoilt=None), sound.everything).diameter
    assert unaware is None or abs(unaware - expected) > 4 * PIXEL_SIZE


def test_rings_are_a_pixel_wide_about_the_centre() -> None:
    """Four pixels to a side: one pixel at the centre, eight around it, six and one towards the corner."""
    image = torch.tensor([[3, 2, 2, 2], [2, 1, 1, 1], [2, 1, 0, 1], [2, 1, 1, 1]]).double()
    assert ring_means(torch.stack([image, 10 * image])).tolist() == [[0, 1, 2, 3], [0, 10, 20, 30]]
    image[2, 3] += 8
    assert ring_means(image).tolist() == [0, 2, 2, 3]


def test_an_image_counts_within_four_robust_deviations_of_the_median() -> None:
    """Of nine images half lie within 1 of the median, so that a robust standard deviation is 1.4826."""
    others = torch.tensor([-4.0, -1.2, -1, -1, 0, 1, 1, 1.2], dtype=torch.float64)
    rings = [torch.cat([others, others.new_tensor([last])]) for last in (6.1, 5.8)]
    mean, error = mean_of_like(torch.stack([*rings, torch.full((9,), 3.0).double()], 1))
    # four deviations are 5.93: 6.1 is passed over, 5.8 is not
    torch.testing.assert_close(mean, torch.tensor([-0.5, 0.2, 3.0], dtype=torch.float64))
    expected = [others.std() / 8**0.5, rings[1].std() / 3, torch.zeros(())]
    torch.testing.assert_close(error, torch.stack([each.double() for each in expected]))


def profile_of(values: list[float], size: int = 24) -> MeanProfile:
    """The profile of ring means, known to a half, with something bright in the corners."""
    mean = torch.tensor([*values, *[99.0] * 5], dtype=torch.float64)
    return described(mean, torch.full_like(mean, 0.5), size)


def test_the_edge_is_midway_between_the_crossing_and_the_trough() -> None:
    profile = profile_of([2, 4, 3, 1, -1, -2, -1.5, -0.5, -3, 0, 0])
    torch.testing.assert_close(profile.values[:5], torch.tensor([0.5, 1, 0.75, 0.25, -0.25]).double())
    assert len(profile.values) == 11
    assert profile.peak == 1
    assert profile.significance == 8
    # it crosses zero half-way between the fourth and the fifth ring, and has its first minimum in the sixth
    assert profile.edge == pytest.approx(0.5 * (3.5 + 5))
    assert profile.depth == 0.5
    assert profile.is_crowded


def test_a_minimum_above_a_tenth_of_the_peak_is_within_the_particle() -> None:
    profile = profile_of([1, 0.5, 0.6, 0.2, 0.15, 0.17, 0.09, 0.08, 0.085, 0, 0])
    assert profile.depth == 0
    # the trough comes before the crossing
    assert profile.edge == 7


def test_a_profile_that_does_not_fall_to_zero_ends_with_the_box() -> None:
    profile = profile_of([11.0, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    assert (profile.edge, profile.depth) == (9, 0)
    assert not profile.is_crowded


@pytest.mark.parametrize(
    ("values", "is_hollow"),
    [
        ([0.9, 0.5, 0.95, 0.9, 0.9, 0.9, 1, 0, 0, 0, 0], True),
        ([0.7, 0.9, 0.95, 0.9, 0.9, 0.9, 1, 0, 0, 0, 0], False),
        ([0.7, 1, 0.2, 0, 0, 0, 0, 0, 0, 0, 0], True),
        ([0.8, 1, 0.2, 0, 0, 0, 0, 0, 0, 0, 0], False),
    ],
)
def test_a_hollow_particle_is_darker_in_the_centre_than_around_it(values: list[float], is_hollow: bool) -> None:
    """Over a third of the way to the peak, less than three quarters of it in the mean."""
    assert profile_of(values).is_hollow == is_hollow


def variance_of(excess: dict[int, float]) -> torch.Tensor:
    """Variances of the rings of a box of 32: one, and more in some of them."""
    variance = torch.ones(23, dtype=torch.float64)
    for ring, more in excess.items():
        variance[ring] += more
    return variance


def test_the_radius_holds_nearly_all_of_the_excess() -> None:
    # rings weigh by their radius: 0.5 + 1 + ... + 7 are 28.5 of 36.5, and 95 % are not reached before the last
    assert enclosing_radius(variance_of(dict.fromkeys(range(9), 1.0)), 32, 10000) == 8
    # what lies below the corners takes nothing off
    assert enclosing_radius(variance_of({**dict.fromkeys(range(7), 1.0), 10: -0.9, 8: -0.5}), 32, 10000) == 6
    # neighbours beyond the circle that fits the box raise less than half of the corners' nine rings
    crowded = variance_of(dict.fromkeys([*range(14), 19, 20, 21, 22], 1.0))
    assert enclosing_radius(crowded, 32, 10000) == 13
    # a particle that reaches beyond that circle fills it
    assert enclosing_radius(variance_of(dict.fromkeys(range(17), 1.0)), 32, 10000) == 14


def test_excess_counts_from_two_deviations_of_its_scatter_on() -> None:
    """With 200 images rings of 8 and 12 pixels scatter by 0.0141 and 0.0115."""
    centre = dict.fromkeys(range(4), 0.2)
    assert enclosing_radius(variance_of({**centre, 8: 0.035, 12: 0.02}), 32, 200) == 8
    assert enclosing_radius(variance_of({**centre, 8: 0.025, 12: 0.02}), 32, 200) == 3


def test_a_particle_stands_out_by_five_deviations_near_the_centre() -> None:
    """With 200 images the ring of 3 pixels scatters by 0.023, and the centre, which counts for 3.1, by 0.056."""
    assert enclosing_radius(variance_of({3: 0.12}), 32, 200) == 3
    assert enclosing_radius(variance_of({3: 0.11}), 32, 200) is None
    assert enclosing_radius(variance_of({0: 0.25}), 32, 200) is None
    assert enclosing_radius(variance_of({4: 0.5}), 32, 200) is None


@pytest.mark.parametrize(
    ("inside", "rim", "corners", "radius"),
    [
        # the median of the corners is one: what is beyond five pixels counts, to the rim
        (2.0, 2.0, [1.0] * 5 + [3.0] * 4, 13),
        # it is three, though it were one with the ring within them
        (2.0, 1.0, [1.0] * 4 + [3.0] * 5, 5),
    ],
)
def test_corners_begin_two_pixels_within_half_the_box(
    inside: float, rim: float, corners: list[float], radius: int
) -> None:
    variance = torch.tensor([10.0] * 6 + [inside] * 7 + [rim, *corners], dtype=torch.float64)
    found = enclosing_radius(variance, 32, 10**6)
    assert found is not None
    assert abs(found - radius) <= 1
