"""Log-likelihoods of poses that all images share, relative to no particle: products of real matrices.

For image b, slice g and shift t, in the terms of ``Observations``,

    score_bgt = a + b - e,    a + b = Re sum conj(Y_g) S_t data_b,    e = 1/2 sum weight_b |Y_g|^2

with ``a`` the product of the real parts and ``b`` that of the imaginary parts. The conjugate of a slice is that slice
turned by half a turn in the plane of the image; its score is ``a - b - e``. Scores of poses that each image has for
itself are those of ``volumes.model.Model``.

Axes: B images, T shifts, G slices, P Fourier coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Parts:
    """Real and imaginary parts, each contiguous, as products of matrices take them."""

    real: Float[Tensor, "n p"]
    imag: Float[Tensor, "n p"]

    def __getitem__(self, rows: slice) -> Parts:
        """The parts of some rows."""
        return Parts(self.real[rows], self.imag[rows])

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.real)


def parts_of(values: Complex[Tensor, "n p"]) -> Parts:
    """Both parts of complex values."""
    return Parts(values.real.contiguous(), values.imag.contiguous())


def shifted_images(data: Complex[Tensor, "b p"], phases: Complex[Tensor, "t p"]) -> Complex[Tensor, "bt p"]:
    """Every image under every shift, image after image."""
    return (data[:, None] * phases).flatten(0, 1)


def even_and_odd(shifted: Parts, slices: Parts) -> tuple[Float[Tensor, "bt g"], Float[Tensor, "bt g"]]:
    """``a`` and ``b``: their sum is the overlap with a slice, their difference that with its conjugate."""
    return shifted.real @ slices.real.mT, shifted.imag @ slices.imag.mT


def overlap(shifted: Parts, slices: Parts) -> Float[Tensor, "bt g"]:
    """``a + b`` without both of them in memory."""
    return torch.addmm(shifted.real @ slices.real.mT, shifted.imag, slices.imag.mT)


def squared(slices: Complex[Tensor, "g p"]) -> Float[Tensor, "g p"]:
    """``|Y|^2``, without the square roots of ``abs``."""
    return slices.real.square() + slices.imag.square()


def model_energy(weight: Float[Tensor, "b p"], power: Float[Tensor, "g p"]) -> Float[Tensor, "b g"]:
    """``e`` from the weights of images and the squared slices."""
    return 0.5 * (weight @ power.mT)
