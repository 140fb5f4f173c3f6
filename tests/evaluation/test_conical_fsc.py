"""Correlation by direction: even maps, maps with a missing cone, and which direction is missing."""

import torch
from synthetic_halves import fading, noisy_halves, white_particle

from cryorbit.evaluation.conical_fsc import conical_fsc
from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.evaluation.radial_filter import apply_gain
from cryorbit.imaging.masks import soft_ball

BOX, PIXEL_SIZE = 64, 2.0


def without_cone(volume: torch.Tensor, cosine: float) -> torch.Tensor:
    """The map without the frequencies in a double cone about z."""
    whole, half = torch.fft.fftfreq(BOX), torch.fft.rfftfreq(BOX)
    z, y, x = torch.meshgrid(whole, whole, half, indexing="ij")
    missing = z.abs() > cosine * (x**2 + y**2 + z**2).sqrt().clamp_min(1e-9)
    return torch.fft.irfftn(torch.where(missing, 0, torch.fft.rfftn(volume)), s=volume.shape)


def test_even_maps_are_even(generator: torch.Generator) -> None:
    half1, half2 = noisy_halves(fading(white_particle(BOX, generator, 18), PIXEL_SIZE, 120.0), 0.1, generator)
    found = conical_fsc(half1, half2, soft_ball(BOX, 21, 6))
    assert found.area_ratio > 0.8
    assert not found.anisotropic


def test_a_missing_cone_is_found_where_it_is(generator: torch.Generator) -> None:
    signal = without_cone(fading(white_particle(BOX, generator, 18), PIXEL_SIZE, 120.0), 0.8)
    half1, half2 = noisy_halves(signal, 0.05, generator)
    found = conical_fsc(half1, half2)
    assert found.area_ratio < 0.5
    assert found.anisotropic
    assert float(found.axes[found.areas.argmin()][2].abs()) > 0.85
    assert float(found.axes[found.areas.argmax()][2].abs()) < 0.8


def test_curves_average_to_the_curve_of_the_whole(generator: torch.Generator) -> None:
    half1, half2 = noisy_halves(fading(white_particle(BOX, generator, 18), PIXEL_SIZE, 120.0), 0.1, generator)
    mean = conical_fsc(half1, half2).correlation.mean(0)
    torch.testing.assert_close(mean[8:], fourier_shell_correlation(half1, half2)[8:], atol=0.03, rtol=0)


def test_empty_shells_of_a_cone_and_of_a_map_differ(generator: torch.Generator) -> None:
    smooth = apply_gain(torch.randn(16, 16, 16, generator=generator), (torch.arange(9) < 3).float())
    found = conical_fsc(smooth, torch.zeros_like(smooth))
    diagonal = found.axes.abs().amin(1).argmax()
    # a cone that holds no frequency of a shell says nothing; one that holds frequencies without power does
    assert float(found.correlation[diagonal, 1]) == 1.0
    assert float(found.correlation[:, 5:].abs().max()) == 0.0


def test_shells_without_data_do_not_count(generator: torch.Generator) -> None:
    half1, half2 = noisy_halves(white_particle(BOX, generator, 18), 0.1, generator)
    found = conical_fsc(half1, half2, soft_ball(BOX, 21, 6), last=10)
    assert not found.correlation[:, 11:].any()
    assert float(found.areas.max()) <= 10
