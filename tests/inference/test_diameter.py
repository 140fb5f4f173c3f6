"""The particle's diameter: found for a phantom of known size, not found in noise."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cryorbit.imaging.masks import soft_ball
from cryorbit.inference.diameter import estimate_diameter
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
