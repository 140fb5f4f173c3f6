"""Strips that fill a box beyond its micrograph: their depth, whatever fills them, and what images have instead."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.io.checks import check_particles
from cryorbit.io.edge_padding import padding_depths, without_padding
from cryorbit.io.particles import read_particles
from small_sets import write_star_set

BOX = 32
NO_PADDING = [0, 0, 0, 0]


@pytest.fixture
def noise(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(60, BOX, BOX, generator=generator)


def ramp(images: torch.Tensor) -> torch.Tensor:
    """The images less a plane, as some programs normalise them."""
    return images + 0.02 * torch.arange(BOX) - 0.03 * torch.arange(BOX)[:, None]


@pytest.mark.parametrize("depth", [2, 7, 15])
@pytest.mark.parametrize("side", range(4))
@pytest.mark.parametrize("filled", ["zero", "mean", "nearest row", "black", "plane"])
def test_a_strip(noise: torch.Tensor, side: int, depth: int, filled: str) -> None:
    images = noise + 5
    fill = {
        "mean": images[:, depth:].mean((1, 2))[:, None, None],
        "nearest row": images[:, depth, None],
        "black": -40.0,
    }
    images[:, :depth] = fill.get(filled, 0.0)
    images = images.flip(1) if side % 2 else images
    images = images.mT if side > 1 else images
    found = padding_depths(ramp(images) if filled == "plane" else images)
    expected = torch.zeros(len(images), 4, dtype=torch.int64)
    expected[:, side] = depth
    assert torch.equal(found, expected)


def test_a_corner_of_the_micrograph(noise: torch.Tensor) -> None:
    images = noise.clone()
    images[3, :4], images[3, :, -9:] = 0, 0
    depths = padding_depths(images)
    assert depths[3].tolist() == [4, 0, 0, 9]
    assert depths.sum() == 13
    filled = without_padding(images, depths)
    # what lies across the first columns of these rows is padding, too
    torch.testing.assert_close(filled[3, :4, 9:], images[3].flip(0, 1)[:4, 9:])
    assert (filled[3] != 0).all()
    assert filled[3].std() == pytest.approx(1, abs=0.1)
    assert torch.equal(filled[:3], images[:3])


@pytest.mark.parametrize("depths", [(3, 5, 0, 0), (0, 0, 4, 4), (2, 9, 6, 0), (4, 4, 4, 4)])
def test_opposite_sides(noise: torch.Tensor, depths: tuple[int, ...]) -> None:
    """A box as wide as its micrograph, or one that was enlarged."""
    images = noise.clone()
    top, bottom, left, right = depths
    frame = torch.ones(BOX, BOX, dtype=torch.bool)
    frame[top : BOX - bottom, left : BOX - right] = False
    images[::3, frame] = 0
    found = padding_depths(images)
    assert torch.equal(found[::3], torch.tensor(depths).expand(20, 4))
    assert found.sum() == 20 * sum(depths)
    filled = without_padding(images, found)
    assert filled[:, frame].std() == pytest.approx(1, abs=0.05)
    assert torch.equal(filled[:, ~frame], noise[:, ~frame])


@pytest.mark.parametrize("radius", [BOX / 2 - 0.5, BOX / 2 - 1, 12, 8])
def test_a_mask_is_no_padding(noise: torch.Tensor, radius: float) -> None:
    away = torch.hypot(*torch.meshgrid(*(2 * [torch.arange(BOX) - BOX // 2.0]), indexing="ij"))
    assert not padding_depths(noise * (away < radius)).any()


@pytest.mark.parametrize("smooth", [0.05, 0.1, 0.5])
def test_smooth_noise_is_no_padding(noise: torch.Tensor, smooth: float) -> None:
    """A low pass leaves neighbouring rows alike, at the edge as elsewhere."""
    frequency = torch.hypot(torch.fft.fftfreq(BOX)[:, None], torch.fft.rfftfreq(BOX))
    assert not padding_depths(torch.fft.irfft2(torch.fft.rfft2(noise) * (frequency < smooth))).any()


def test_images_normalised_with_their_padding(tmp_path: Path, noise: torch.Tensor) -> None:
    """Brought to the noise of the others, whose every bit is kept, with the median where the padding was."""
    images = noise.numpy().copy()
    raw = 20 * images[10:16] + 1000
    raw[:, :5] = 0
    images[10:16] = (raw - raw.mean((1, 2), keepdims=True)) / raw.std((1, 2), keepdims=True)
    star = write_star_set(tmp_path, images.astype(np.float32))
    star.write_text(star.read_text().replace(" 16 2\n", f" {BOX} 2\n"))
    report = check_particles(read_particles(star))
    assert report.grey.levels is not None
    assert report.repaired["row"].tolist() == list(range(11, 17))
    assert all("5 px of padding" in reason for reason in report.repaired["reason"])
    assert not report.grey.needs_normalisation
    read = report.grey.levels.apply(torch.from_numpy(images))
    assert torch.equal(read[:10], noise[:10])
    torch.testing.assert_close(read[10:16, 5:].std((1, 2)), noise[10:16, 5:].std((1, 2)), rtol=0.1, atol=0)
    assert read[10:16, :5].abs().max() < 0.3
