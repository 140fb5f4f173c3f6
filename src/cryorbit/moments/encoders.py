"""Networks from the moments of multireference alignment to the signal, or to the density of shifts.

`AppendixEncoder` is the network of the thesis (Paul 2024, appendix A.1): convolutions with periodic padding over the
rows of the transformed moments, two branches of three channels stacked to six, fully connected layers at the end.
Windows, depths and inner channels are not published.

`EquivariantEncoder` uses what is known of the problem. With samples x and their distances d,

    M2(x, x + d) = sum_s density(s) signal(x - s) signal(x - s + d)

is for each d a convolution with the density, so that the diagonals of the second moment are channels over x, and a
shift of the density shifts them all. A network of periodic convolutions alone keeps that: its output moves along.

Both take moments divided by the signal's root mean square, which the second moment tells, and give signals their scale
back; densities are a softmax.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryorbit.moments.pair import Moments, spectral_moments

Target = Literal["signal", "density"]
SLOPE = 0.02
"""Slope of the leaky rectifier below zero."""


class AppendixEncoder(nn.Module):
    """The encoder of appendix A.1, for signals of ``length`` samples."""

    def __init__(self, length: int, target: Target, channels: int = 32, window: int = 9, hidden: int = 256) -> None:
        super().__init__()
        self.target = target
        self.first = _convolutions([2, channels, channels, 3], window)
        self.second = _convolutions([2 * length, channels, channels, 3], window)
        self.joined = _convolutions([6, channels, 6], window)
        self.full = nn.Sequential(
            nn.Flatten(), nn.Linear(6 * length, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, length)
        )

    def forward(self, moments: Moments) -> Float[Tensor, "b n"]:
        """Signals or densities of a batch of moments."""
        scaled, scale = _scaled(moments)
        first, second = spectral_moments(scaled)
        upper = self.first(torch.stack([first.real, first.imag], 1))
        lower = self.second(torch.cat([second.real, second.imag], 1))
        return _outcome(self.full(self.joined(torch.cat([upper, lower], 1))), scale, self.target)


class EquivariantEncoder(nn.Module):
    """Periodic convolutions over the diagonals of the second moment, for signals of ``length`` samples."""

    def __init__(self, length: int, target: Target, channels: int = 32, window: int = 9, depth: int = 5) -> None:
        super().__init__()
        self.target = target
        inputs = length // 2 + 2
        self.layers = _convolutions([inputs, *[channels] * depth], window)
        self.last = nn.Conv1d(channels, 1, window, padding="same", padding_mode="circular")

    def forward(self, moments: Moments) -> Float[Tensor, "b n"]:
        """Signals or densities of a batch of moments."""
        scaled, scale = _scaled(moments)
        fields = torch.cat([scaled.first[:, None], diagonals(scaled.second)], 1)
        return _outcome(self.last(self.layers(fields))[:, 0], scale, self.target)


Architecture = Literal["appendix", "equivariant"]
ENCODERS: Mapping[Architecture, Callable[[int, Target], nn.Module]] = MappingProxyType(
    {"appendix": AppendixEncoder, "equivariant": EquivariantEncoder}
)


def make_encoder(architecture: Architecture, length: int, target: Target, seed: int) -> nn.Module:
    """A network with weights drawn from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ENCODERS[architecture](length, target)


def diagonals(second: Float[Tensor, "b n n"]) -> Float[Tensor, "b m n"]:
    """``M2(x, x + d)`` on the circle for ``0 <= d <= n / 2``, a row each; the others are the same, shifted."""
    size = second.shape[-1]
    position = torch.arange(size, device=second.device)
    partners = (position + torch.arange(size // 2 + 1, device=second.device)[:, None]) % size
    return second[:, position.expand_as(partners), partners]


def _convolutions(channels: list[int], window: int) -> nn.Sequential:
    """Periodic convolutions from each number of channels to the next, each with its rectifier."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        layers += [nn.Conv1d(before, after, window, padding="same", padding_mode="circular"), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


def _scaled(moments: Moments) -> tuple[Moments, Float[Tensor, "b 1"]]:
    """Moments of signals of mean square 1, and the scale that was taken out."""
    power = moments.second.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True)
    scale = power.clamp_min(torch.finfo(power.dtype).tiny).sqrt()
    return Moments(moments.first / scale, moments.second / scale[..., None].square()), scale


def _outcome(values: Float[Tensor, "b n"], scale: Float[Tensor, "b 1"], target: Target) -> Float[Tensor, "b n"]:
    return values * scale if target == "signal" else values.softmax(-1)
