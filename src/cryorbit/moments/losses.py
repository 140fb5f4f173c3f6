"""Distances between moments, and between signals that are known up to a shift; differentiable, batch axes first."""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

ANY_SHIFT = 16
"""Parts of a sample that stand for any shift of the circle where errors are measured."""


class Pair(Protocol):
    """What is compared, first and second moments: any arrays whose norms over one and over two axes count."""

    @property
    def first(self) -> Float[Tensor, "*b d"]:
        """First moments."""
        ...

    @property
    def second(self) -> Float[Tensor, "*b r d"]:
        """Second moments."""
        ...


def relative_errors(predicted: Pair, target: Pair) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Relative errors of first and second moments (Paul 2024, equation 2.10), relative to the target."""
    first = _norm(predicted.first - target.first, 1) / _norm(target.first, 1)
    return first, _norm(predicted.second - target.second, 2) / _norm(target.second, 2)


def kam_loss(predicted: Pair, target: Pair) -> Float[Tensor, "*b"]:
    """Sum of the relative errors (Paul 2024, equation 3.13)."""
    first, second = relative_errors(predicted, target)
    return first + second


def weighted_loss(predicted: Pair, target: Pair, weight: float) -> Float[Tensor, "*b"]:
    """Error of the first moments plus ``weight`` times that of the second (Paul 2024, equations 2.15 and 2.17)."""
    return _norm(predicted.first - target.first, 1) + weight * _norm(predicted.second - target.second, 2)


def overlaps(signal: Float[Tensor, "*b n"], truth: Float[Tensor, "*b n"], parts: int = 1) -> Float[Tensor, "*b m"]:
    """Inner products of ``truth`` with ``signal`` later by 0, 1, ... of ``parts`` parts of a sample, on the circle."""
    size = truth.shape[-1]
    product = torch.fft.rfft(truth) * torch.fft.rfft(signal).conj()
    if parts > 1 and size % 2 == 0:
        # between samples the highest frequency of an even length is one of a pair
        product = torch.cat([product[..., :-1], 0.5 * product[..., -1:]], -1)
    return parts * torch.fft.irfft(product, n=parts * size)


def shift_error(signal: Float[Tensor, "*b n"], truth: Float[Tensor, "*b n"], parts: int = 1) -> Float[Tensor, "*b"]:
    """Least relative error over circular shifts (Paul 2024, equation 2.9) by ``parts`` parts of a sample.

    Moments of a band-limited signal do not change when signal and density move apart by part of a sample, so that an
    error up to whole samples stays above zero however well they are inverted.
    """
    power = truth.square().sum(-1)
    squares = signal.square().sum(-1) + power - 2 * overlaps(signal, truth, parts).amax(-1)
    # rounding may leave less than nothing, and the root has no slope at zero
    least = torch.finfo(truth.dtype).eps * power
    return (torch.maximum(squares, least) / power).sqrt()


def _norm(difference: Tensor, axes: int) -> Tensor:
    """Norm over the last ``axes`` axes, with a slope of zero at zero."""
    squares = difference.square().flatten(-axes).sum(-1)
    return squares.clamp_min(torch.finfo(squares.dtype).tiny).sqrt()
