"""What every recipe leaves of a map: half-maps that know where they end, and a resolution that keeps to it."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from cryorbit.evaluation.corrected_fsc import corrected_fsc
from cryorbit.fourier.shells import shell_indices
from cryorbit.imaging.masks import soft_ball
from cryorbit.io.mrc import read_header, read_map
from cryorbit.recipes.map_files import ONLY_MAP, FinishedMap, finish_map, write_map_files

BOX, PIXEL_SIZE = 48, 3.0


def finished(
    generator: torch.Generator, radius: float, noise: float = 0.1, mask: torch.Tensor | None = None
) -> FinishedMap:
    """A white particle in two noisy half-maps, finished as if images had been inserted to a radius."""
    particle = torch.randn(BOX, BOX, BOX, generator=generator) * soft_ball(BOX, 14, 3)
    halves = particle + noise * torch.randn(2, BOX, BOX, BOX, generator=generator)
    return finish_map((halves.mean(0), halves), PIXEL_SIZE, radius, generator, soft_ball(BOX, 17, 3), mask)


def test_half_maps_end_where_images_were_inserted_to(tmp_path: Path, generator: torch.Generator) -> None:
    found = finished(generator, 9.6)
    write_map_files(tmp_path, ONLY_MAP, found, "test")
    for name in (ONLY_MAP.map, ONLY_MAP.half1, ONLY_MAP.half2):
        assert read_header(tmp_path / name).holds_to_A == pytest.approx(BOX * PIXEL_SIZE / 9.6, abs=1e-3)
    assert read_header(tmp_path / ONLY_MAP.mask).holds_to_A is None
    half, _ = read_map(tmp_path / ONLY_MAP.half1)
    power, shells = torch.fft.rfftn(half).abs(), shell_indices(BOX)
    assert float(power[shells > 9].max()) < 1e-5 * float(power[shells <= 9].median())
    table = pd.read_csv(tmp_path / f"{ONLY_MAP.fsc}.csv").iloc[:, 1:]
    assert list(table) == ["unmasked", "corrected", "masked", "randomised"]
    assert not table[10:].to_numpy().any()
    assert found.resolution_A == found.fsc.resolution() == pytest.approx(BOX * PIXEL_SIZE / 9)
    assert found.limits == ["The half-maps hold data to 15.0 Å only: what is finer was left out when they were made."]


def test_the_pixels_limit_what_was_inserted_to_the_end(generator: torch.Generator) -> None:
    found = finished(generator, BOX / 2 - 1)
    assert found.fsc.last == BOX // 2 - 1
    assert found.limits == ["The pixels limit the resolution: they show nothing finer than 6.0 Å (Nyquist)."]


def test_noise_limits_what_is_coarser(generator: torch.Generator) -> None:
    found = finished(generator, BOX / 2 - 1, noise=3.0)
    assert found.fsc.resolution() > 1.1 * found.fsc.finest_A
    assert found.limits == []


def test_a_mask_that_is_given_is_used_as_it_is(generator: torch.Generator) -> None:
    mask = (soft_ball(BOX, 12, 1) > 0.5).float()
    found = finished(generator, 20.0, 1.0, mask)
    assert torch.equal(found.mask, mask)
    again = corrected_fsc(found.halves[0], found.halves[1], PIXEL_SIZE, mask, generator, 20)
    torch.testing.assert_close(found.fsc.masked, again.masked)
