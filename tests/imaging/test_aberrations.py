"""Aberrations: polynomials written out, coma of a known tilt, and phases of each particle's own setting."""

import math
from collections.abc import Callable

import pytest
import torch

from cryorbit.imaging.aberrations import Aberrations, coma_of_tilt, with_tilt

Polynomial = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
AXES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.75**0.5]], dtype=torch.float64) / 3
"""Frequencies of 3 A at 0, 90 and 60 degrees."""


@pytest.mark.parametrize(
    ("odd", "index", "polynomial"),
    [
        (True, 0, lambda x, y: y + 0 * x),
        (True, 1, lambda x, y: x + 0 * y),
        (True, 2, lambda x, y: 3 * x**2 * y - y**3),
        (True, 3, lambda x, y: (3 * (x**2 + y**2) - 2) * y),
        (True, 4, lambda x, y: (3 * (x**2 + y**2) - 2) * x),
        (True, 5, lambda x, y: x**3 - 3 * x * y**2),
        (False, 0, lambda x, y: 1 + 0 * x * y),
        (False, 1, lambda x, y: 2 * x * y),
        (False, 2, lambda x, y: 2 * (x**2 + y**2) - 1),
        (False, 3, lambda x, y: x**2 - y**2),
        (False, 6, lambda x, y: 6 * (x**2 + y**2) ** 2 - 6 * (x**2 + y**2) + 1),
    ],
)
def test_zernike_polynomials_in_relions_order(
    odd: bool, index: int, polynomial: Polynomial, generator: torch.Generator
) -> None:
    frequencies = 0.8 * torch.rand(20, 2, generator=generator, dtype=torch.float64) - 0.4
    coefficients, none = torch.zeros(1, index + 1, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64)
    coefficients[0, index] = 0.7
    setting = torch.zeros(1, dtype=torch.int64)
    aberrations = Aberrations(setting, coefficients, none) if odd else Aberrations(setting, none, coefficients)
    found, other = aberrations.odd_phase(frequencies), aberrations.even_phase(frequencies)
    if not odd:
        found, other = other, found
    assert other is None
    assert found is not None
    torch.testing.assert_close(found[0], 0.7 * polynomial(*frequencies.unbind(1)), rtol=0, atol=1e-12)


def test_a_beam_tilt_is_coma_along_the_tilt() -> None:
    """0.1 mrad at 2.7 mm are 270 nm of axial coma; with it the phase is ``-2 pi A lambda^2 k^2 k_x``."""
    wavelength = torch.tensor([0.0196875], dtype=torch.float64)
    coma = coma_of_tilt(
        torch.tensor([[0.1, 0.0]], dtype=torch.float64), torch.tensor([2.7], dtype=torch.float64), wavelength
    )
    expected = 2 * math.pi * 2700 * 0.0196875**2
    torch.testing.assert_close(coma, torch.tensor([[expected, 0.0]], dtype=torch.float64))
    odd = with_tilt(torch.tensor([[0.0, 0.0, 0.0, 8.0, 9.0, 2.0]], dtype=torch.float64), coma)
    phase = Aberrations(torch.zeros(1, dtype=torch.int64), odd, odd[:, :0]).odd_phase(AXES)
    assert phase is not None
    trefoil = 2 / 27 * torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)
    axial = -expected / 27 * torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(phase[0], axial + trefoil)


def test_every_particle_has_the_phases_of_its_setting(generator: torch.Generator) -> None:
    odd, even = (torch.randn(3, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    setting = torch.tensor([2, 0, 1, 1, 2])
    aberrations = Aberrations(setting, odd, even)
    index = torch.tensor([4, 1])
    for phase_of in (Aberrations.odd_phase, Aberrations.even_phase):
        every, chosen = phase_of(aberrations, AXES), phase_of(aberrations[index], AXES)
        assert every is not None
        assert chosen is not None
        torch.testing.assert_close(chosen, every[index])
        torch.testing.assert_close(every[0], every[4])
        assert float((every[0] - every[1]).abs().min()) > 0
    assert len(aberrations[index].odd) == 2
