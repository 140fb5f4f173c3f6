"""Phases that aberrations add to an image, radians, at spatial frequencies in 1/A; none of them is corrected for.

Beam tilt and coma, trefoil: odd, ``2 pi A lambda^2 k^3``; the axial coma of a tilted beam is ``A = Cs tilt``.
Tetrafoil: even, ``pi/2 A lambda^3 k^4``. RELION's Zernike coefficients are radians as they stand, on frequencies in
1/A: those of the antisymmetric part (``rlnOddZernike``) and of the symmetric one (``rlnEvenZernike``).

Source: Zivanov, Nakane & Scheres, IUCrJ 7 (2020) 253.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float

from cryorbit.imaging.ctf import electron_wavelength

MM, MRAD = 1e7, 1e-3
"""A in a millimetre, and radians in a milliradian."""


def shift_phase(shift_A: Float[np.ndarray, " n"], frequency: float) -> Float[np.ndarray, " n"]:
    """Phase of a shift of the image by a length in A, radians, at a spatial frequency in 1/A."""
    return 2 * math.pi * shift_A * frequency


def coma_phase(
    coma_A: Float[np.ndarray, " n"],
    voltage_kv: Float[np.ndarray, " n"],
    frequency: float,
) -> Float[np.ndarray, " n"]:
    """Largest phase of axial coma or trefoil of a length in A, radians, at a spatial frequency in 1/A."""
    return 2 * math.pi * coma_A * _wavelength(voltage_kv) ** 2 * frequency**3


def beam_tilt_phase(
    tilt_mrad: Float[np.ndarray, " n"],
    spherical_mm: Float[np.ndarray, " n"],
    voltage_kv: Float[np.ndarray, " n"],
    frequency: float,
) -> Float[np.ndarray, " n"]:
    """Phase that a beam tilt in mrad adds along its direction, ``2 pi Cs lambda^2 tilt k^3``, radians.

    A spherical aberration of 2.7 mm makes a coma of 270 nm of 0.1 mrad.
    """
    return coma_phase(MM * spherical_mm * MRAD * tilt_mrad, voltage_kv, frequency)


def tetrafoil_phase(
    length_A: Float[np.ndarray, " n"],
    voltage_kv: Float[np.ndarray, " n"],
    frequency: float,
) -> Float[np.ndarray, " n"]:
    """Largest phase of an even aberration of fourth order of a length in A, radians."""
    return 0.5 * math.pi * length_A * _wavelength(voltage_kv) ** 3 * frequency**4


def magnification_phase(stretch: Float[np.ndarray, " n"], distance_A: float, frequency: float) -> np.ndarray:
    """Phase by which a relative stretch of the image displaces what lies ``distance_A`` from the centre, radians."""
    return 2 * math.pi * np.abs(stretch) * distance_A * frequency


def odd_zernike_phase(coefficients: Float[np.ndarray, " c"], frequencies: Float[np.ndarray, "p 2"]) -> np.ndarray:
    """Phases of RELION's antisymmetric aberrations at frequencies ``(x, y)`` in 1/A, radians."""
    return _zernike(coefficients, _odd_orders(), frequencies)


def even_zernike_phase(coefficients: Float[np.ndarray, " c"], frequencies: Float[np.ndarray, "p 2"]) -> np.ndarray:
    """Phases of RELION's symmetric aberrations at frequencies ``(x, y)`` in 1/A, radians."""
    return _zernike(coefficients, _even_orders(), frequencies)


def _odd_orders() -> Iterator[tuple[int, int]]:
    """Degrees and orders ``(n, m)``: (1, -1), (1, 1), (3, -3), (3, -1), ..."""
    return ((n, m) for n in range(1, 1000, 2) for m in range(-n, n + 1, 2))


def _even_orders() -> Iterator[tuple[int, int]]:
    return ((n, m) for n in range(0, 1000, 2) for m in range(-n, n + 1, 2))


def _zernike(
    coefficients: Float[np.ndarray, " c"], orders: Iterator[tuple[int, int]], frequencies: Float[np.ndarray, "p 2"]
) -> Float[np.ndarray, " p"]:
    radius, angle = np.hypot(*frequencies.T), np.arctan2(frequencies[:, 1], frequencies[:, 0])
    phase = np.zeros(len(frequencies))
    for (n, m), coefficient in zip(orders, coefficients, strict=False):
        wave = np.cos(m * angle) if m >= 0 else np.sin(-m * angle)
        phase += coefficient * _radial(n, abs(m), radius) * wave
    return phase


def _radial(n: int, m: int, radius: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
    """Zernike's radial polynomial of degree ``n`` and order ``m``."""
    value = np.zeros_like(radius)
    for k in range((n - m) // 2 + 1):
        below = math.factorial(k) * math.factorial((n + m) // 2 - k) * math.factorial((n - m) // 2 - k)
        value += (-1) ** k * math.factorial(n - k) / below * radius ** (n - 2 * k)
    return value


def _wavelength(voltage_kv: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return electron_wavelength(torch.as_tensor(voltage_kv, dtype=torch.float64)).numpy()
