"""Correlations of half-maps of known signal and noise, with good and bad masks."""

import math

import pytest
import torch
from synthetic_halves import fading, fall_off, noisy_halves, white_particle

from cryorbit.evaluation.band_limit import without_shells_beyond
from cryorbit.evaluation.corrected_fsc import corrected_fsc
from cryorbit.evaluation.solvent_mask import solvent_mask
from cryorbit.imaging.masks import soft_ball
from cryorbit.simulate.phantoms import random_blob_phantom

BOX, PIXEL_SIZE = 64, 2.0


def test_known_ratio_of_signal_to_noise_gives_the_known_curve(generator: torch.Generator) -> None:
    signal = fading(torch.randn(BOX, BOX, BOX, generator=generator), PIXEL_SIZE, 250.0)
    half1, half2 = noisy_halves(signal, 0.3, generator)
    found = corrected_fsc(half1, half2, PIXEL_SIZE, torch.ones_like(half1), generator)
    ratio = (fall_off(BOX, PIXEL_SIZE, 250.0) / 0.3) ** 2
    expected = ratio / (1 + ratio)
    torch.testing.assert_close(found.unmasked[8:], expected[8:], atol=0.05, rtol=0)
    torch.testing.assert_close(found.corrected[8:], expected[8:], atol=0.05, rtol=0)
    torch.testing.assert_close(found.masked, found.unmasked)
    # FSC = 0.143 where exp(-B / (2 d^2)) / 0.09 = 0.143 / 0.857
    assert found.resolution() == pytest.approx(math.sqrt(125 / math.log(0.857 / 0.143 / 0.09)), rel=0.03)
    assert not found.mask_too_tight


def test_a_mask_that_fits_is_harmless(generator: torch.Generator) -> None:
    half1, half2 = noisy_halves(fading(white_particle(BOX, generator, 18), PIXEL_SIZE, 120.0), 0.1, generator)
    found = corrected_fsc(half1, half2, PIXEL_SIZE, soft_ball(BOX, 21, 6).to(half1), generator)
    assert found.mask_bias == pytest.approx(0.0, abs=0.03)
    assert not found.mask_too_tight
    assert float(found.masked[12:].mean()) > float(found.unmasked[12:].mean()) + 0.05
    torch.testing.assert_close(found.corrected[:20], found.masked[:20], atol=0.05, rtol=0)


def test_a_tight_mask_is_seen_and_corrected(generator: torch.Generator) -> None:
    blobs = random_blob_phantom(BOX, generator, count=40)
    particle = (blobs > 0.1 * blobs.max()) * fading(torch.randn(BOX, BOX, BOX, generator=generator), PIXEL_SIZE, 200.0)
    signal = blobs + 0.1 * blobs.max() * particle
    half1, half2 = noisy_halves(signal, 0.3 * float(signal.std()), generator)
    fair = corrected_fsc(half1, half2, PIXEL_SIZE, solvent_mask(signal, PIXEL_SIZE, 15.0), generator)
    assert not fair.mask_too_tight
    # a hard mask that cuts into the density carries low frequencies, on which the halves agree, into all others
    tight = corrected_fsc(half1, half2, PIXEL_SIZE, (signal > 0.3 * signal.max()).to(signal), generator)
    assert float(tight.masked[-8:].min()) > 0.8
    assert float(fair.masked[-8:].mean()) < 0.1
    assert float(tight.corrected[-8:].mean()) < 0.15
    assert tight.resolution() > 0.9 * fair.resolution() > 2 * PIXEL_SIZE
    assert tight.mask_too_tight


def test_before_the_randomised_shells_nothing_changes(generator: torch.Generator) -> None:
    half1, half2 = noisy_halves(fading(white_particle(BOX, generator, 18), PIXEL_SIZE, 120.0), 0.1, generator)
    found = corrected_fsc(half1, half2, PIXEL_SIZE, soft_ball(BOX, 21, 6).to(half1), generator)
    first = found.randomised_from
    assert float(found.unmasked[1:first].min()) >= 0.8 > float(found.unmasked[first])
    torch.testing.assert_close(found.corrected[: first + 2], found.masked[: first + 2])
    torch.testing.assert_close(found.randomised[:first], found.masked[:first])
    assert float(found.frequency_per_A[-1]) == pytest.approx(1 / (2 * PIXEL_SIZE))


def test_maps_that_agree_everywhere_have_nothing_randomised(generator: torch.Generator) -> None:
    half1, half2 = noisy_halves(white_particle(32, generator, 10), 0.01, generator)
    found = corrected_fsc(half1, half2, PIXEL_SIZE, torch.ones_like(half1), generator)
    assert found.randomised_from == 17
    assert found.resolution() == pytest.approx(2 * PIXEL_SIZE)
    assert found.mask_bias == 0.0


def test_nothing_is_known_beyond_the_last_shell_with_data(generator: torch.Generator) -> None:
    half1, half2 = (
        without_shells_beyond(half, 11) for half in noisy_halves(white_particle(BOX, generator, 12), 0.2, generator)
    )
    tight = (soft_ball(BOX, 10, 1) > 0.5).to(half1)
    found = corrected_fsc(half1, half2, PIXEL_SIZE, tight, generator, last=11)
    for curve in (found.unmasked, found.masked, found.randomised, found.corrected):
        assert not curve[12:].any()
        assert curve[1:12].all()
    assert found.last == 11
    assert found.finest_A == pytest.approx(BOX * PIXEL_SIZE / 11)
    assert found.resolution() == pytest.approx(found.finest_A)


@pytest.mark.parametrize("noise", [0.003, 0.03, 0.1])
@pytest.mark.parametrize("masks", ["made", "tight"])
def test_noise_beyond_the_edge_of_a_filter_is_no_data(noise: float, masks: str, generator: torch.Generator) -> None:
    """Half-maps filtered to shell 9 claim no more, whatever fills their shells afterwards, and in any mask."""
    signal = fading(random_blob_phantom(BOX, generator, count=40), PIXEL_SIZE, 120.0)
    halves = [without_shells_beyond(half, 9) for half in noisy_halves(signal, 0.5 * float(signal.std()), generator)]
    half1, half2 = noisy_halves(torch.zeros_like(signal), noise * float(halves[0].std()), generator) + torch.stack(
        halves
    )
    made = solvent_mask(signal, PIXEL_SIZE, 15.0)
    mask = made if masks == "made" else (signal > 0.3 * signal.max()).to(signal)
    found = corrected_fsc(half1, half2, PIXEL_SIZE, mask, generator)
    assert found.last == 9
    assert found.resolution() == pytest.approx(BOX * PIXEL_SIZE / 9)
    for curve in (found.unmasked, found.masked, found.randomised, found.corrected):
        assert not curve[10:].any()


def test_a_steep_fall_without_an_edge_is_data(generator: torch.Generator) -> None:
    """A B-factor of 600 A^2 leaves a thousandth of the power at the resolution, and all of it is the particle's."""
    signal = fading(random_blob_phantom(BOX, generator, count=40), PIXEL_SIZE, 600.0)
    half1, half2 = noisy_halves(signal, 0.1 * float(signal.std()), generator)
    found = corrected_fsc(half1, half2, PIXEL_SIZE, solvent_mask(signal, PIXEL_SIZE, 15.0), generator)
    assert found.last == BOX // 2
    assert found.resolution() < BOX * PIXEL_SIZE / 10


@pytest.mark.parametrize(("sign", "unrelated", "inverted"), [(1, False, False), (-1, True, True), (0, True, False)])
def test_strangers_are_told_from_negatives(
    sign: int, unrelated: bool, inverted: bool, generator: torch.Generator
) -> None:
    signal = fading(white_particle(BOX, generator, 18), PIXEL_SIZE, 120.0)
    half1, half2 = noisy_halves(signal, 0.05, generator)
    other = {1: half2, -1: -half2, 0: half2 - signal}[sign]
    found = corrected_fsc(half1, other, PIXEL_SIZE, soft_ball(BOX, 21, 6).to(half1), generator)
    assert (found.unrelated, found.inverted) == (unrelated, inverted)
