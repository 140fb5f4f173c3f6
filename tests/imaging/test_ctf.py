"""The CTF: value at the origin, symmetries, astigmatism, envelope, and agreement with RELION."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.core.data import CTFParams
from cryorbit.imaging.ctf import ctf_values, electron_wavelength

GOLDEN = Path(__file__).parents[1] / "golden" / "relion.npz"


def parameters(**changes: float) -> CTFParams:
    """One particle's parameters: 300 kV, 2.7 mm, 0.1, defocus 1.5 and 1.2 um at 30 degrees."""
    optics = {"voltage": 300.0, "spherical_aberration": 2.7, "amplitude_contrast": 0.1, "phase_shift": 0.0}
    defocus = {"defocus_u": 15000.0, "defocus_v": 12000.0, "defocus_angle": math.radians(30)}
    values = optics | defocus | {"b_factor": 0.0, "scale": 1.0} | changes
    return CTFParams(**{k: torch.tensor([v], dtype=torch.float64) for k, v in values.items()})


def test_agrees_with_relion() -> None:
    """The transform of a centred point that RELION imaged with CTF is the CTF, inside the Nyquist circle."""
    with np.load(GOLDEN) as file:
        point_spread, optics, pixel_size = file["point_spread"], file["optics"], float(file["pixel_size"])
    u, v, angle, phase, voltage, cs, w = torch.from_numpy(optics).unbind(1)
    params = CTFParams(
        *(u, v, torch.deg2rad(angle), voltage, cs, w, torch.deg2rad(phase)),
        torch.zeros_like(u),
        torch.ones_like(u),
    )
    box = point_spread.shape[-1]
    axis = np.fft.fftfreq(box, pixel_size)
    ky, kx = np.meshgrid(axis, axis, indexing="ij")
    inside = np.hypot(kx, ky) < (box // 2 - 0.5) / (box * pixel_size)
    ours = ctf_values(params, torch.from_numpy(np.stack([kx[inside], ky[inside]], -1)))
    theirs = np.fft.fft2(np.fft.ifftshift(point_spread, axes=(1, 2)))[:, inside]
    assert np.abs(theirs.imag).max() < 1e-5
    np.testing.assert_allclose(ours.numpy(), theirs.real, atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 1), st.floats(-3e4, 3e4))
def test_value_at_origin_is_the_amplitude_contrast(contrast: float, defocus: float) -> None:
    params = parameters(amplitude_contrast=contrast, defocus_u=defocus)
    assert float(ctf_values(params, torch.zeros(1, 2))) == pytest.approx(contrast, abs=1e-6)


def test_wavelength_at_300_kv() -> None:
    """The relativistic value h / sqrt(2 m e V (1 + e V / 2 m c^2))."""
    value = electron_wavelength(torch.tensor([300.0], dtype=torch.float64))
    assert float(value) == pytest.approx(0.01968749, rel=1e-5)


def test_even_in_frequency(generator: torch.Generator) -> None:
    frequencies = torch.randn(50, 2, generator=generator, dtype=torch.float64) * 0.1
    assert torch.equal(ctf_values(parameters(), frequencies), ctf_values(parameters(), -frequencies))


@pytest.mark.parametrize(("axis_deg", "along"), [(30.0, 15000.0), (120.0, 12000.0)])
def test_axes_of_astigmatism(axis_deg: float, along: float) -> None:
    """Along the axis at the angle, defocus is U; across it, V."""
    radius = torch.linspace(0, 0.25, 60, dtype=torch.float64)[:, None]
    angle = np.deg2rad(axis_deg)
    frequencies = radius * torch.tensor([[np.cos(angle), np.sin(angle)]])
    round_ctf = ctf_values(parameters(defocus_u=along, defocus_v=along), frequencies)
    torch.testing.assert_close(ctf_values(parameters(), frequencies), round_ctf, atol=1e-5, rtol=0)


def test_envelope_and_scale() -> None:
    frequencies = torch.linspace(0, 0.2, 40, dtype=torch.float64)[:, None] * torch.tensor([[0.6, 0.8]])
    bare = ctf_values(parameters(), frequencies)
    dressed = ctf_values(parameters(b_factor=80.0, scale=0.7), frequencies)
    k2 = frequencies.square().sum(1)
    torch.testing.assert_close(dressed, bare * 0.7 * torch.exp(-80 * k2 / 4).float(), atol=1e-6, rtol=1e-5)


def test_particles_do_not_mix() -> None:
    """A batch of different particles gives the values of each alone."""
    first, second = parameters(), replace(parameters(), voltage=torch.tensor([200.0], dtype=torch.float64))
    both = CTFParams(*(torch.cat([getattr(first, n), getattr(second, n)]) for n in CTFParams.__dataclass_fields__))
    frequencies = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 0.2
    alone = torch.cat([ctf_values(first, frequencies), ctf_values(second, frequencies)])
    assert torch.equal(ctf_values(both, frequencies), alone)
