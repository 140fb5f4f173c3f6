"""Volumes of limited band and extent as sums of spherical harmonics times spherical Bessel functions.

The transform of a real volume is (Paul 2024, equation 4.23, with real coefficients)

    V(k u) = sum_lms a_lms (-i)^l F_ls(k) Y_lm(u),    F_ls(k) = sqrt(2) c^(-3/2) j_l(r_ls k / c) / |j_l+1(r_ls)|

for frequencies ``k < c``, zero beyond, with real harmonics and ``r_ls`` the s-th zero of ``j_l``. These functions are
orthonormal on the ball of radius c. Functions of even degree are real, those of odd degree imaginary; a real volume
has real coefficients, and they are free: there are ``sum_l (2 l + 1) S_l`` of them, ordered by (l, m, s).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from scipy.optimize.elementwise import find_root
from scipy.special import spherical_jn
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.core.errors import InputError
from cryorbit.core.memory import BATCH_BYTES
from cryorbit.geometry.harmonics import real_harmonics, turning_matrices


@dataclass(frozen=True, slots=True)
class SphericalBessel:
    """A basis of volumes.

    Attributes
    ----------
    cutoff
        Largest frequency c, Fourier pixels.
    counts
        Radial functions ``S_l`` of every degree l = 0 ... L.
    """

    cutoff: float
    counts: tuple[int, ...]

    @property
    def degree(self) -> int:
        """Largest degree L."""
        return len(self.counts) - 1

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return sum((2 * ell + 1) * count for ell, count in enumerate(self.counts))

    @property
    def degrees(self) -> tuple[int, ...]:
        """Degree of every coefficient."""
        return tuple(ell for ell, count in enumerate(self.counts) for _ in range((2 * ell + 1) * count))

    def odd(self, like: Tensor) -> Bool[Tensor, " d"]:
        """Which functions are of odd degree, that is imaginary."""
        return torch.tensor(self.degrees, device=like.device) % 2 == 1

    def split(self, coefficients: Float[Tensor, "*b d"]) -> list[Float[Tensor, "*b _m _s"]]:
        """Coefficients of every degree, a row an order and a column a radial function."""
        sizes = [(2 * ell + 1) * count for ell, count in enumerate(self.counts)]
        parts = coefficients.split(sizes, -1)
        return [part.unflatten(-1, (2 * ell + 1, self.counts[ell])) for ell, part in enumerate(parts)]

    def radial(self, radii: Float[Tensor, " p"]) -> list[Float[Tensor, "_s p"]]:
        """The functions ``F_ls`` of every degree at frequencies; zero from the cutoff on."""
        zeros = bessel_zeros(self.degree, max(self.counts))
        scaled = radii.detach().cpu().double().numpy() / self.cutoff
        profiles = []
        for ell, count in enumerate(self.counts):
            zero = zeros[ell, :count, None]
            height = math.sqrt(2) * self.cutoff**-1.5 / np.abs(spherical_jn(ell + 1, zero))
            values = np.where(scaled < 1, height * spherical_jn(ell, zero * scaled), 0.0)
            profiles.append(torch.from_numpy(values).to(radii))
        return profiles

    def functions(self, frequencies: Float[Tensor, "p 3"]) -> Float[Tensor, "d p"]:
        """All basis functions at points: the real parts of those of even degree, the imaginary parts of the others."""
        harmonics = real_harmonics(frequencies, self.degree).mT
        radial = self.radial(frequencies.norm(dim=-1))
        rows = []
        for ell, part in enumerate(radial):
            sign = (-1.0) ** ((ell + 1) // 2)
            angular = sign * harmonics[ell**2 : (ell + 1) ** 2]
            rows.append((angular[:, None] * part).flatten(0, 1))
        return torch.cat(rows)

    def evaluate(
        self, coefficients: Float[Tensor, "*b d"], frequencies: Float[Tensor, "p 3"]
    ) -> Complex[Tensor, "*b p"]:
        """Transforms of volumes at points ``(x, y, z)``, Fourier pixels."""
        odd = self.odd(coefficients)
        even_part, odd_part = coefficients.masked_fill(odd, 0.0), coefficients.masked_fill(~odd, 0.0)
        samples = []
        for part in self.in_chunks(frequencies):
            values = self.functions(part.to(coefficients))
            samples.append(torch.complex(even_part @ values, odd_part @ values))
        return torch.cat(samples, -1)

    def adjoint(self, values: Complex[Tensor, "*b p"], frequencies: Float[Tensor, "p 3"]) -> Float[Tensor, "*b d"]:
        """Adjoint of ``evaluate`` under the real inner product ``Re sum conj(a) b``."""
        odd = self.odd(values)
        total = values.real.new_zeros(*values.shape[:-1], self.size)
        parts = self.in_chunks(frequencies)
        for part, chunk in zip(parts, values.split([len(each) for each in parts], -1), strict=True):
            functions = self.functions(part.to(total)).mT
            total = total + torch.where(odd, chunk.imag @ functions, chunk.real @ functions)
        return total

    def rotate(self, coefficients: Float[Tensor, "*b d"], rotations: Float[Tensor, "g 3 3"]) -> Float[Tensor, "*b g d"]:
        """Coefficients of the volumes ``V(R.T q)``: as the image of pose R sees them."""
        return self.turn(coefficients, turning_matrices(rotations.to(coefficients), self.degree))

    def turn(
        self, coefficients: Float[Tensor, "*b d"], matrices: tuple[Float[Tensor, "g _m _m"], ...]
    ) -> Float[Tensor, "*b g d"]:
        """The same as ``rotate``, by the ``turning_matrices`` of the rotations."""
        parts = zip(matrices, self.split(coefficients), strict=True)
        turned = [torch.einsum("gmn,...ms->...gns", matrix, part).flatten(-2) for matrix, part in parts]
        return torch.cat(turned, -1)

    def turn_back(
        self, coefficients: Float[Tensor, "*b g d"], matrices: tuple[Float[Tensor, "g _m _m"], ...]
    ) -> Float[Tensor, "*b d"]:
        """Adjoint of ``turn``: turned back and summed over the rotations."""
        parts = zip(matrices, self.split(coefficients), strict=True)
        summed = [torch.einsum("gmn,...gns->...ms", matrix, part).flatten(-2) for matrix, part in parts]
        return torch.cat(summed, -1)

    def in_chunks(self, frequencies: Float[Tensor, "p 3"]) -> list[Float[Tensor, "_c 3"]]:
        """Points in chunks whose table of functions fits the memory of a batch."""
        size = chunk_size(8 * 3 * (self.size + (self.degree + 1) ** 2), BATCH_BYTES, len(frequencies))
        return [frequencies[part] for part in chunks(len(frequencies), size)]


def resolved_basis(cutoff: float, extent: float, degree: int | None = None) -> SphericalBessel:
    """The basis of all functions that fit a ball in space: those with ``r_ls < 2 pi c x extent``.

    Parameters
    ----------
    cutoff
        Largest frequency c, Fourier pixels.
    extent
        Radius of the volume in units of the box; 1/2 for a ball that fills it, with the limit ``pi c``.
    degree
        Largest degree; all that have a function, if it is None.

    Raises
    ------
    InputError
        Nothing fits.
    """
    limit = 2 * math.pi * cutoff * extent
    # the first zero of j_l lies above l, and the s-th zero of j_0 is pi s
    zeros = bessel_zeros(max(0, math.ceil(limit)), max(1, math.ceil(limit / math.pi)))
    counts = [count for row in zeros if (count := int((row < limit).sum()))]
    if not counts:
        raise InputError(f"no function of cutoff {cutoff:g} fits {extent:g} of the box", fix="raise the cutoff")
    return SphericalBessel(cutoff, tuple(counts[: None if degree is None else degree + 1]))


@lru_cache
def bessel_zeros(degree: int, count: int) -> Float[np.ndarray, "l s"]:
    """The first ``count`` positive zeros of the spherical Bessel functions ``j_0`` ... ``j_degree``.

    Between two zeros of one function lies just one of the next, which is bracketed so.
    """
    rows = [math.pi * np.arange(1, count + degree + 1)]
    for ell in range(1, degree + 1):
        brackets = (rows[-1][:-1], rows[-1][1:])
        rows.append(find_root(lambda x, ell=ell: spherical_jn(ell, x), brackets).x)
    return np.stack([row[:count] for row in rows])
