"""First and second moments of observations, the pair that everything here makes, compares or inverts.

Observations are real vectors throughout. An image on the half disc is the real parts of its coefficients followed by
their imaginary parts, which is the same up to a factor as all coefficients of the full plane. So one real second moment
holds both averages of products of coefficients, with the conjugate and without,

    E x_k conj(x_l) = RR + II + i (IR - RI),        E x_k x_l = RR - II + i (IR + RI)

(blocks of the second moment: R real parts, I imaginary ones), and no conjugate can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Moments:
    """Means of observations and of their outer products, without noise; batch axes first."""

    first: Float[Tensor, "*b d"]
    second: Float[Tensor, "*b d d"]

    def map(self, function: Callable[[Tensor], Tensor]) -> Moments:
        """The function's values for both."""
        return Moments(function(self.first), function(self.second))

    def __getitem__(self, index: Tensor | slice | int) -> Moments:
        """The pairs at ``index`` of the first batch axis."""
        return Moments(self.first[index], self.second[index])


def real_vectors(coefficients: Complex[Tensor, "*b p"]) -> Float[Tensor, "*b d"]:
    """Half-disc coefficients as real vectors: real parts, then imaginary parts."""
    return torch.cat([coefficients.real, coefficients.imag], -1)


def complex_vectors(vectors: Float[Tensor, "*b d"]) -> Complex[Tensor, "*b p"]:
    """Half-disc coefficients of real vectors."""
    return torch.complex(*vectors.chunk(2, -1))


def coefficient_products(
    second: Float[Tensor, "*b d d"],
) -> tuple[Complex[Tensor, "*b p p"], Complex[Tensor, "*b p p"]]:
    """``E x_k conj(x_l)`` and ``E x_k x_l`` of half-disc coefficients, from the second moment of their real vectors."""
    upper, lower = second.chunk(2, -2)
    (rr, ri), (ir, ii) = upper.chunk(2, -1), lower.chunk(2, -1)
    return torch.complex(rr + ii, ir - ri), torch.complex(rr - ii, ir + ri)


def spectral_moments(moments: Moments) -> tuple[Complex[Tensor, "*b n"], Complex[Tensor, "*b n n"]]:
    """Moments ``F M1`` and ``F M2 F*`` of the unitary transform of periodic signals of n samples (Paul 2024, 2.1)."""
    rows = torch.fft.fft(moments.second, dim=-2, norm="ortho")
    return torch.fft.fft(moments.first, norm="ortho"), torch.fft.ifft(rows, dim=-1, norm="ortho")
