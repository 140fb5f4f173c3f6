"""Networks from the moments of images to volume, density of view directions and spread of shifts (Paul 2024, A.2).

The second moment of images of n x n pixels as a field of n^2 channels on n x n pixels, as in print, is beyond reach
from n = 15 on. At uniform in-plane angles it holds no more than its polar form: a field over two radii whose channels
are the angular orders. The two branches of the thesis, three channels each, stacked to six, take the first and the
second moment; windows and inner channels are not published.

Inputs are divided by the root mean square of each radius, so that all radii are seen alike and the outputs can be given
their scale back; its logarithm is one channel more. So is the logarithm of the first moment after that: shifts lower it
by ``eta^2 k^2 / 2``.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryorbit.moments.encoders import SLOPE
from cryorbit.moments.polar import PolarMoments

FIRST_FIELDS = 4
"""Fields of the first moment: over either radius, its logarithm, and that of the power."""
STACKED = 3
"""Channels in which each branch ends."""
LEAST_POWER = 1e-12
"""Power of a radius, parts of the mean, below which it is rounding."""
LEAST_MEAN = 1e-2
"""First moment, parts of the root of the power, below which its logarithm is that of this part."""
SMALL_HEAD = 0.1
"""Part of the usual weights that the last layer starts with: near the uniform density, and no strong volume."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of an encoder.

    Attributes
    ----------
    radii, orders
        Radii and largest angular order of the moments.
    nodes
        View directions of the density.
    coefficients
        Numbers that describe the volume; 0 for an encoder of the density alone.
    channels, window, hidden
        Inner channels, side of the convolutions, width of the full layer.
    """

    radii: int
    orders: int
    nodes: int
    coefficients: int
    channels: int = 32
    window: int = 3
    hidden: int = 256


@dataclass(frozen=True, slots=True)
class Encoded:
    """What an encoder gives; batch axis first.

    Attributes
    ----------
    logits
        What is added to the logarithms of the nodes' weights.
    coefficients
        Of volumes whose images have a mean power of 1.
    spread
        Of shifts, part of the largest, before a sigmoid.
    scale
        Root of the mean power of the images.
    """

    logits: Float[Tensor, "b t"]
    coefficients: Float[Tensor, "b c"]
    spread: Float[Tensor, " b"]
    scale: Float[Tensor, " b"]


class ImageEncoder(nn.Module):
    """Convolutions over pairs of radii, then full layers; weights come from torch's global generator."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        channels, orders = layout.channels, layout.orders
        self.first = _convolutions([FIRST_FIELDS, channels, STACKED], layout.window)
        self.second = _convolutions([2 * orders + 1, channels, channels, STACKED], layout.window)
        self.joined = _convolutions([2 * STACKED, channels, 2 * STACKED], layout.window)
        outputs = layout.nodes + layout.coefficients + 1
        self.full = nn.Sequential(
            nn.Flatten(), nn.Linear(2 * STACKED * layout.radii**2, layout.hidden), nn.LeakyReLU(SLOPE)
        )
        self.last = nn.Linear(layout.hidden, outputs)
        with torch.no_grad():
            self.last.weight.mul_(SMALL_HEAD)

    def forward(self, moments: PolarMoments) -> Encoded:
        """Outputs for a batch of moments."""
        first, second, scale = fields_of(moments)
        joined = self.joined(torch.cat([self.first(first), self.second(second)], 1))
        sizes = [self.layout.nodes, self.layout.coefficients, 1]
        logits, coefficients, spread = self.last(self.full(joined)).split(sizes, 1)
        return Encoded(logits, coefficients, spread[:, 0], scale)


def fields_of(
    moments: PolarMoments,
) -> tuple[Float[Tensor, "b 4 k k"], Float[Tensor, "b c k k"], Float[Tensor, " b"]]:
    """Fields over two radii: of the first moment with the power, and of all orders of the second; and the scale."""
    power = moments.cosines.diagonal(dim1=-2, dim2=-1).sum(1)
    mean = power.mean(-1, keepdim=True).clamp_min(torch.finfo(power.dtype).tiny)
    root = torch.maximum(power, LEAST_POWER * mean).sqrt()
    size = power.shape[-1]
    mean_parts = moments.first / root
    columns = (mean_parts, mean_parts.abs().clamp_min(LEAST_MEAN).log(), root.log() - 0.5 * mean.log())
    first, falling, shape = (each[..., None].expand(-1, -1, size) for each in columns)
    # the power is the sum over all orders, half of the fields are as small as the inverse of their number
    scaling = (root[:, None, :, None] * root[:, None, None, :]) / math.sqrt(moments.cosines.shape[1])
    second = torch.cat([moments.cosines, moments.sines[:, 1:]], 1) / scaling
    return torch.stack([first, first.mT, falling + falling.mT, shape + shape.mT], 1), second, mean[:, 0].sqrt()


def _convolutions(channels: list[int], window: int) -> nn.Sequential:
    """Convolutions from each number of channels to the next, each with its rectifier; beyond the radii are zeros."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        layers += [nn.Conv2d(before, after, window, padding="same"), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)
