"""Phases that aberrations add to an image, radians, at spatial frequencies ``(x, y)`` in 1/A; none is corrected for.

The axial coma of a tilted beam is ``A = Cs tilt``. cryoSPARC's lengths are undocumented: the factors of trefoil and of
the fourth order are those that public readers of its files use, so that their phases are orders of magnitude. RELION's
Zernike coefficients are radians as they stand, on frequencies in 1/A: those of the antisymmetric part
(``rlnOddZernike``) and of the symmetric one (``rlnEvenZernike``).

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


def coma_phase(strength: float, frequencies: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, " p"]:
    """Phase of axial coma along x, ``2 pi A lambda^2 k^2 k_x`` for a ``strength`` ``A lambda^2``."""
    return 2 * math.pi * strength * (frequencies**2).sum(1) * frequencies[:, 0]


def trefoil_phase(strength: float, frequencies: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, " p"]:
    """Phase of trefoil, ``2 pi / 3 A lambda^2 k^3 cos(3 theta)`` for a ``strength`` ``A lambda^2``."""
    x, y = frequencies.T
    return 2 * math.pi / 3 * strength * (x**3 - 3 * x * y**2)


def fourth_order_phase(strength: tuple[float, float], frequencies: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, " p"]:
    """Phase of astigmatism of fourth order and tetrafoil, for their two strengths ``A lambda^3``.

    ``2 pi A lambda^3 k^4 cos(2 theta)`` and ``pi / 2 A lambda^3 k^4 cos(4 theta)``, crest on crest.
    """
    x, y = frequencies.T
    second, fourth = strength
    return 2 * math.pi * second * (x**4 - y**4) + 0.5 * math.pi * fourth * (x**4 - 6 * x**2 * y**2 + y**4)


def coma_of_tilt(tilt_mrad: Float[np.ndarray, " n"], spherical_mm: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Axial coma of a tilted beam, A: a spherical aberration of 2.7 mm makes 270 nm of 0.1 mrad."""
    return MM * spherical_mm * MRAD * tilt_mrad


def wavelength(voltage_kv: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Of electrons, A."""
    return electron_wavelength(torch.as_tensor(voltage_kv, dtype=torch.float64)).numpy()


def magnification_phase(stretch: float, distance_A: float, frequency: float) -> float:
    """Phase by which a relative stretch of the image displaces what lies ``distance_A`` from the centre, radians."""
    return 2 * math.pi * stretch * distance_A * frequency


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
