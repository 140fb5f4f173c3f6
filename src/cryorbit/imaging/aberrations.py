"""Aberrations beyond defocus and spherical aberration: phases at spatial frequencies ``(x, y)`` in 1/A.

RELION's Zernike coefficients are radians, on frequencies in 1/A as they stand. Antisymmetric terms (``rlnOddZernike``)
turn the phases of an image: its transform is the CTF times ``exp(i phase)`` times that of the projection. Symmetric
terms (``rlnEvenZernike``) add to the phase of the CTF. A beam tilt is axial coma, an antisymmetric term of its own.

Source: Zivanov, Nakane & Scheres, IUCrJ 7 (2020) 253; orders and signs are held to RELION's in ``tests/golden``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

MM, MRAD = 1e7, 1e-3
"""A in a millimetre, and radians in a milliradian."""
ALONG_Y, ALONG_X = (0, 3), (1, 4)
"""Places of the linear and the cubic antisymmetric term along each axis, whose sum has the shape of coma."""


@dataclass(frozen=True, slots=True)
class Aberrations:
    """Aberrations of N particles that were taken at G settings of the microscope, float64.

    Attributes
    ----------
    setting
        Setting of each particle.
    odd
        Coefficients of the antisymmetric terms of each setting, in RELION's order, beam tilt included; of any number.
    even
        The same of the symmetric terms.
    """

    setting: Int[Tensor, " n"]
    odd: Float[Tensor, "g c"]
    even: Float[Tensor, "g e"]

    def __getitem__(self, index: Tensor) -> Aberrations:
        """Aberrations of the particles at ``index``, without the settings that none of them has."""
        used, setting = self.setting[index].unique(return_inverse=True)
        return Aberrations(setting, self.odd[used], self.even[used])

    def to(self, device: torch.device | str) -> Aberrations:
        """The same aberrations on ``device``."""
        return Aberrations(self.setting.to(device), self.odd.to(device), self.even.to(device))

    def odd_phase(self, frequencies: Float[Tensor, "p 2"]) -> Float[Tensor, "n p"] | None:
        """Phases of the antisymmetric terms, radians, float64; None where there are none."""
        return _phase(self.odd, _orders(1), frequencies)[self.setting] if self.odd.any() else None

    def even_phase(self, frequencies: Float[Tensor, "p 2"]) -> Float[Tensor, "n p"] | None:
        """Phases that the symmetric terms add to that of the CTF, radians, float64; None where there are none."""
        return _phase(self.even, _orders(0), frequencies)[self.setting] if self.even.any() else None


def with_tilt(odd: Float[Tensor, "g c"], coma: Float[Tensor, "g 2"]) -> Float[Tensor, "g k"]:
    """Antisymmetric coefficients of settings whose beam tilt is stated, too: of both, the tilt's cubic terms hold.

    Parameters
    ----------
    odd
        Stated coefficients.
    coma
        Axial coma ``2 pi Cs lambda^2 tilt`` along x and y, as `coma_of_tilt` gives it. Its phase is subtracted:
        ``-coma . k |k|^2``, with ``3 |k|^2 k_x = (3 |k|^2 - 2) k_x + 2 k_x``.
    """
    both = torch.nn.functional.pad(odd, (0, max(0, max(ALONG_X) + 1 - odd.shape[1])))
    for along, axis in ((ALONG_X, 0), (ALONG_Y, 1)):
        linear, cubic = along
        both[:, linear] -= 2 / 3 * coma[:, axis]
        both[:, cubic] = -coma[:, axis] / 3
    return both


def coma_of_tilt(
    tilt_mrad: Float[Tensor, "g 2"], spherical_mm: Float[Tensor, " g"], wavelength: Float[Tensor, " g"]
) -> Float[Tensor, "g 2"]:
    """Axial coma of a tilted beam, A^3: 0.1 mrad at 2.7 mm and 300 kV (a wavelength of 0.0197 A) make 6.6."""
    return 2 * math.pi * MM * MRAD * (spherical_mm * wavelength**2)[:, None] * tilt_mrad


def _orders(first: int) -> Iterator[tuple[int, int]]:
    """Degrees and orders ``(n, m)`` in RELION's order; from 1: (1, -1), (1, 1), (3, -3), ...; from 0: (0, 0), ..."""
    return ((n, m) for n in itertools.count(first, 2) for m in range(-n, n + 1, 2))


def _phase(
    coefficients: Float[Tensor, "g c"], orders: Iterator[tuple[int, int]], frequencies: Float[Tensor, "p 2"]
) -> Float[Tensor, "g p"]:
    """Sum of Zernike polynomials."""
    x, y = frequencies.double().unbind(-1)
    radius, angle = torch.hypot(x, y), torch.atan2(y, x)
    terms = []
    for (n, m), _ in zip(orders, range(coefficients.shape[1]), strict=False):
        wave: Callable[[Tensor], Tensor] = torch.cos if m >= 0 else torch.sin
        terms.append(_radial(n, abs(m), radius) * wave(abs(m) * angle))
    return coefficients @ torch.stack(terms)


def _radial(n: int, m: int, radius: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
    """Zernike's radial polynomial of degree ``n`` and order ``m``."""
    value = torch.zeros_like(radius)
    for k in range((n - m) // 2 + 1):
        below = math.factorial(k) * math.factorial((n + m) // 2 - k) * math.factorial((n - m) // 2 - k)
        value += (-1) ** k * math.factorial(n - k) / below * radius ** (n - 2 * k)
    return value
