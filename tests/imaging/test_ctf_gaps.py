"""Gaps in the CTF of a set: the zeros of one defocus where all have it, none where others fill them."""

from dataclasses import replace

import pytest
import torch

from cryorbit.core.data import CTFParams
from cryorbit.imaging.ctf import electron_wavelength
from cryorbit.imaging.ctf_gaps import ctf_gaps, mean_ctf_power

COUNT, BOX, PIXEL = 400, 256, 1.5


def particles(defocus: torch.Tensor, astigmatism: float = 0.0) -> CTFParams:
    """Particles at 300 kV, of no amplitude contrast and no Cs: zeros lie where lambda z k^2 = 1, 2, ..."""
    ones = torch.ones(len(defocus), dtype=torch.float64)
    u, v = defocus + 0.5 * astigmatism, defocus - 0.5 * astigmatism
    return CTFParams(u, v, 0.3 * ones, 300 * ones, 0 * ones, 0 * ones, 0 * ones, 100 * ones, 0.5 * ones)


def around(mean: float, half_range: float) -> CTFParams:
    return particles(mean + half_range * torch.linspace(-1, 1, COUNT, dtype=torch.float64))


def zeros(defocus: float, number: int) -> list[float]:
    """Resolutions of the first zeros, A."""
    wavelength = float(electron_wavelength(torch.tensor(300.0).double()))
    return [(wavelength * defocus / n) ** 0.5 for n in range(1, number + 1)]


def test_one_defocus_leaves_its_zeros() -> None:
    found = 1 / torch.tensor(ctf_gaps(around(18_000.0, 0.0), BOX, PIXEL))
    apart = (found[:, None] - 1 / torch.tensor(zeros(18_000.0, 60))).abs() * BOX * PIXEL
    # each is a shell, or the first of two, that has a zero; further out a shell holds more than its zero
    assert float(apart.min(1).values.max()) < 1
    assert float(apart[:, :4].min(0).values.max()) < 1


@pytest.mark.parametrize(("half_range", "count"), [(300.0, 3), (8_000.0, 0)])
def test_other_defoci_fill_them(half_range: float, count: int) -> None:
    found = ctf_gaps(around(18_000.0, half_range), BOX, PIXEL)
    assert len(found) >= count if count else found == []


def test_no_gap_before_the_first_rise_nor_from_an_envelope_or_scale() -> None:
    params = around(18_000.0, 8_000.0)
    power = mean_ctf_power(params, BOX, PIXEL)
    assert float(power[0]) < 0.01
    assert float(power[60:].mean()) == pytest.approx(0.5, abs=0.05)
    strong = replace(params, b_factor=0 * params.b_factor, scale=1 + 0 * params.scale)
    torch.testing.assert_close(mean_ctf_power(strong, BOX, PIXEL), power)


def test_astigmatism_fills_the_finer_zeros() -> None:
    defocus = torch.full((COUNT,), 18_000.0, dtype=torch.float64)
    round_ones = ctf_gaps(particles(defocus), BOX, PIXEL)
    assert len(ctf_gaps(particles(defocus, astigmatism=4_000.0), BOX, PIXEL)) < len(round_ones)
