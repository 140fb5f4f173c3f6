"""The noise spectrum: flat for white noise, its own colour otherwise, and what residuals make of it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.noise import (
    background_spectrum,
    shell_means,
    spectrum_of_residuals,
    updated_spectrum,
    vanishing_shell,
)
from cryorbit.simulate.microscope import Microscope, draw_ctf
from cryorbit.simulate.noise import coloured_spectrum, draw_noise, white_spectrum
from phantom_sets import write_source

BOX, COUNT = 48, 300
NOISE = torch.tensor([1.0, 2.0, 3.0, 4.0])
COEFFICIENTS, IMAGES = torch.tensor([0.0, 8.0, 24.0, 0.0]), 50
"""Coefficients of an image in the shells of ``NOISE``; the first and the last have not been looked at."""
EXPECTED = IMAGES * COEFFICIENTS
"""What residuals of these images sum to where the spectrum is right."""


def noise_source(path: Path, spectrum: torch.Tensor, generator: torch.Generator) -> ParticleSource:
    """Images of noise of this spectrum and, in the middle of each, something bright."""
    images = draw_noise(COUNT, spectrum, generator)
    images[:, 18:30, 18:30] += 20
    ctf, _ = draw_ctf(COUNT, Microscope(particles_per_micrograph=1), generator)
    return write_source(path, images, ctf, 3.0)


def standard_errors(radius: float) -> torch.Tensor:
    """Relative scatter of the shells' variances, from the number of independent coefficients left by the hole."""
    disc = half_disc(BOX, BOX / 2)
    counts = torch.bincount(disc.shells, minlength=BOX // 2 + 1).clamp_min(1)
    left = 1 - torch.pi * radius**2 / BOX**2
    return (counts * COUNT * left).rsqrt()


def test_white_noise_is_flat_and_the_particle_does_not_count(tmp_path: Path, generator: torch.Generator) -> None:
    source = noise_source(tmp_path / "white.mrcs", white_spectrum(BOX), generator)
    found = background_spectrum(source, torch.arange(COUNT), 14.0)
    assert found.shape == (BOX // 2 + 1,)
    deviation = (found - 1) / standard_errors(16.0)
    # the background's mean, taken off, costs the lowest shells some of their power
    assert float(deviation[3:-1].abs().max()) < 4.5
    assert 0.8 < float(found[1]) < 1.05


def test_without_the_hole_the_particle_would_be_seen(tmp_path: Path, generator: torch.Generator) -> None:
    source = noise_source(tmp_path / "white.mrcs", white_spectrum(BOX), generator)
    assert float(background_spectrum(source, torch.arange(COUNT), 4.0)[3:8].min()) > 2


def test_coloured_noise_is_recovered(tmp_path: Path, generator: torch.Generator) -> None:
    spectrum = coloured_spectrum(BOX, 8.0, 2.0)
    source = noise_source(tmp_path / "coloured.mrcs", spectrum, generator)
    found = background_spectrum(source, torch.arange(COUNT), 14.0)
    disc = half_disc(BOX, BOX / 2)
    kx, ky = disc.frequencies.long().unbind(-1)
    expected = shell_means(spectrum[ky % BOX, kx], disc, BOX)
    ratio = found / expected
    # a steep spectrum leaks over the shell or two by which the hole blurs it
    assert float((ratio[4:-1] - 1).abs().max()) < 0.06
    assert float(found[3] / found[-3]) > 4


def test_premultiplied_images_have_the_noise_of_plain_ones(tmp_path: Path, generator: torch.Generator) -> None:
    plain = noise_source(tmp_path / "plain.mrcs", white_spectrum(BOX), generator)
    fy, fx = torch.fft.fftfreq(BOX, 3.0), torch.fft.rfftfreq(BOX, 3.0)
    frequencies = torch.stack(torch.broadcast_tensors(fx, fy[:, None]), -1).flatten(0, 1)
    transfer = ctf_values(plain.ctf, frequencies).unflatten(1, (BOX, -1))
    images = draw_noise(COUNT, white_spectrum(BOX), generator)
    multiplied = torch.fft.irfft2(torch.fft.rfft2(images) * transfer, s=(BOX, BOX))
    written = write_source(tmp_path / "multiplied.mrcs", multiplied, plain.ctf, 3.0)
    found = background_spectrum(replace(written, premultiplied=True), torch.arange(COUNT), 14.0)
    assert float((found[6:-1] - 1).abs().max()) < 0.12


def test_empty_shells_take_their_neighbour() -> None:
    disc = half_disc(16, 5)
    means = shell_means(disc.shells.float() * 2, disc, 16)
    assert means.tolist() == [2, 2, 4, 6, 8, 10, 10, 10, 10]


def test_residuals_as_expected_change_nothing() -> None:
    torch.testing.assert_close(updated_spectrum(NOISE, EXPECTED, COEFFICIENTS, IMAGES, 50.0), NOISE)


def test_residuals_set_the_level_where_there_are_some() -> None:
    found = updated_spectrum(NOISE, 1.5 * EXPECTED, COEFFICIENTS, IMAGES, 0.0)
    torch.testing.assert_close(found, torch.tensor([1.0, 3.0, 4.5, 4.0]))


@pytest.mark.parametrize(("prior", "expected"), [(0.0, 2.0), (50.0, 1.5), (150.0, 1.25), (1e9, 1.0)])
def test_the_prior_counts_as_so_many_images(prior: float, expected: float) -> None:
    """Fifty images against fifty meet half-way, in every shell, however many coefficients it has."""
    ratio = updated_spectrum(NOISE, 2 * EXPECTED, COEFFICIENTS, IMAGES, prior) / NOISE
    torch.testing.assert_close(ratio[1:3], torch.full((2,), expected), rtol=1e-4, atol=0)


def test_residuals_of_shells_count_half_as_each_coefficient_stands_for_two() -> None:
    """Power is 2 where a coefficient is as the noise: half as much again raises the spectrum by half."""
    shells = torch.tensor([1, 1, 2, 2, 2])
    residual = 2 * torch.tensor([0.0, 1.0 + 2.0, 3 * 0.5, 0.0], dtype=torch.float64) * IMAGES
    found = spectrum_of_residuals(NOISE, residual, shells, torch.tensor(IMAGES, dtype=torch.float64), 0.0)
    torch.testing.assert_close(found, torch.tensor([1.0, 3.0, 1.5, 4.0]))
    halfway = spectrum_of_residuals(NOISE, residual, shells, torch.tensor(IMAGES, dtype=torch.float64), 50.0)
    torch.testing.assert_close(halfway, torch.tensor([1.0, 2.5, 2.25, 4.0]))


def test_repeated_updates_come_to_rest_at_the_truth() -> None:
    truth, noise = torch.tensor([1.0, 5.0, 0.5, 4.0]), NOISE
    for _ in range(30):
        noise = updated_spectrum(noise, EXPECTED * truth / noise, COEFFICIENTS, IMAGES, 50.0)
    torch.testing.assert_close(noise, truth, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("spectrum", "shell"),
    [
        (torch.ones(25), None),
        # a floor under strong low frequencies, and a camera that passes a hundredth of its power at Nyquist
        (1 + 50 * torch.exp(-torch.arange(25) / 2.0), None),
        (torch.exp(-4.6 * (torch.arange(25) / 24) ** 2), None),
        # denoised: the fall has no end; low-passed, enlarged: noise ends
        (torch.exp(-13.8 * torch.arange(25) / 24), 17),
        (torch.where(torch.arange(25) < 15, 1.0, 1e-6), 14),
    ],
    ids=["white", "floor", "camera", "denoised", "low-passed"],
)
def test_where_noise_vanishes(spectrum: torch.Tensor, shell: int | None) -> None:
    assert vanishing_shell(spectrum) == shell
