"""Shells of Fourier space: rings of an image's transform, spherical shells of a map's.

Shell ``s`` holds the frequencies whose length in Fourier pixels rounds to ``s``. Transforms are half spectra as
``torch.fft.rfft2`` and ``rfftn`` lay them out; the shells that are complete in a box are 0 ... box / 2.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def ring_indices(box: int) -> Int[Tensor, "n h"]:
    """Shell of every coefficient of ``rfft2`` of a ``box`` x ``box`` image."""
    return _radii(box, 2).round_().long()


def shell_indices(box: int, planes: slice = slice(None)) -> Int[Tensor, "z n h"]:
    """Shell of every coefficient, or of those of some planes, of ``rfftn`` of a map of ``box`` voxels along a side."""
    return _radii(box, 3, planes).round_().long()


def half_spectrum_weights(box: int) -> Float[Tensor, " h"]:
    """How many coefficients of the whole spectrum one of the half spectrum stands for, along its last axis."""
    weights = torch.full((box // 2 + 1,), 2.0)
    weights[0] = 1.0
    if box % 2 == 0:
        weights[-1] = 1.0
    return weights


def shell_sums(values: Float[Tensor, "*b p"], shells: Int[Tensor, " p"], count: int) -> Float[Tensor, "*b {count}"]:
    """Sums of ``values`` over shells 0 ... ``count - 1``; coefficients of higher shells are left out."""
    sums = values.new_zeros(*values.shape[:-1], count + 1)
    return sums.index_add(-1, shells.clamp(max=count), values)[..., :count]


def shell_means(values: Float[Tensor, "*b n n h"]) -> Float[Tensor, "*b s"]:
    """Means of ``values``, one for each coefficient of half spectra, over the shells 0 ... n / 2 of the whole ones."""
    box = values.shape[-2]
    weights = half_spectrum_weights(box).to(values).expand(box, box, -1)
    shells = shell_indices(box).to(values.device).flatten()
    count = box // 2 + 1
    sums = shell_sums((values * weights).flatten(-3).double(), shells, count)
    return sums / shell_sums(weights.flatten().double(), shells, count)


def _radii(box: int, dimensions: int, first: slice = slice(None)) -> Float[Tensor, "..."]:
    """Length of every frequency of the half spectrum, Fourier pixels; ``first`` chooses along the first axis."""
    full = torch.fft.fftfreq(box, 1.0 / box, dtype=torch.float64) ** 2
    squares = torch.fft.rfftfreq(box, 1.0 / box, dtype=torch.float64) ** 2
    for chosen in (slice(None),) * (dimensions - 2) + (first,):
        squares = full[chosen].reshape(-1, *[1] * squares.dim()) + squares
    return squares.sqrt_()
