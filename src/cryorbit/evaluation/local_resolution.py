"""Resolution from place to place: correlation of half-maps, band by band, within a window around every point.

Both half-maps are filtered to a band of frequencies; window means of the products of the filtered maps,
``<a b> / sqrt(<a a> <b b>)``, are the local correlation in that band at all points at once. The window is a Gaussian
with the second moment of a ball. A mask weights the products, not the maps, and so makes no correlation of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.fft import next_fast_len
from torch import Tensor

from cryorbit.fourier.shells import shell_indices

WINDOW_PER_RESOLUTION = 6.0
"""Diameter of the window over the resolution of the whole map."""
BANDS_PER_WIDTH = 2
"""Bands within the half width of one; it is the window's own spread in Fourier space, narrower bands blur places."""
NEGLIGIBLE = 1e-5
"""The window's transform is cut off where it has fallen to this."""
FEWEST_INSIDE = 0.02
"""Share of a window that must lie in the mask for the point to have a resolution of its own."""


def local_resolution(
    half1: Float[Tensor, "n n n"],
    half2: Float[Tensor, "n n n"],
    mask: Float[Tensor, "n n n"],
    pixel_size: float,
    window_A: float,
    threshold: float = 0.5,
    last: int | None = None,
) -> Float[Tensor, "n n n"]:
    """Local resolution in A at every voxel; outside the mask the lowest one found inside.

    Parameters
    ----------
    half1, half2
        Half-maps, unfiltered and unmasked.
    mask
        Soft mask in [0, 1], not empty.
    pixel_size
        A.
    window_A
        Diameter of the window, A; about six times the resolution of the whole map.
    threshold
        Correlation at which the resolution is read, where it is first reached.
    last
        Last shell in which the half-maps hold data, at which the bands end. Default: that of the box.
    """
    box = half1.shape[-1]
    # a ball of radius r has the second moment of a Gaussian of standard deviation r / sqrt(5)
    lattice = _lattice(box, sigma=0.5 * window_A / pixel_size / math.sqrt(5))
    width = max(1.0, box * pixel_size / window_A)
    halves = torch.fft.rfftn(torch.stack([half1, half2]), dim=_AXES)
    shells = shell_indices(box).to(half1.device)
    undecided = _window_means(mask, lattice) > FEWEST_INSIDE
    inside = undecided
    centers: list[float] = []
    curves: list[Tensor] = []
    finest = box / 2 if last is None else max(last, width)
    while undecided.any() and (len(centers) + BANDS_PER_WIDTH) * width / BANDS_PER_WIDTH <= finest:
        centers.append((len(centers) + BANDS_PER_WIDTH) * width / BANDS_PER_WIDTH)
        gain = 0.5 * (1 + torch.cos(torch.pi * ((shells - centers[-1]) / width).clamp(-1, 1)))
        a, b = torch.fft.irfftn(halves * gain.to(half1), s=half1.shape, dim=_AXES)
        cross, power_a, power_b = (_window_means(mask * product, lattice) for product in (a * b, a * a, b * b))
        # window means of squares come from a transform, which may leave them below zero by rounding
        power = (power_a * power_b).clamp_min(0).sqrt()
        curves.append(torch.where(power > 0, cross / power, 0.0))
        undecided = undecided & (curves[-1] >= threshold)
    crossing = _first_crossing(torch.stack(curves), torch.tensor(centers).to(half1), threshold)
    crossing = torch.where(inside, crossing, crossing[inside].min())
    shell = _interpolated(crossing, box)
    return box * pixel_size / torch.where(mask > 0.5, shell, shell[mask > 0.5].min())


_AXES = (-3, -2, -1)


@dataclass(frozen=True, slots=True)
class _Lattice:
    """Coarse points at which window means are taken: ``transfer`` is the window's transform on their half spectrum."""

    size: int
    transfer: Float[Tensor, "m m h"]


def _lattice(box: int, sigma: float) -> _Lattice:
    """Points close enough for a Gaussian window of standard deviation ``sigma`` voxels."""
    reach = box / (math.pi * sigma) * math.sqrt(-0.5 * math.log(NEGLIGIBLE))
    size = min(box, 2 * next_fast_len(math.ceil(1.5 * reach), real=True))
    frequency = torch.fft.fftfreq(size, 1 / size) / box
    line = torch.exp(-2 * (math.pi * sigma * frequency) ** 2)
    return _Lattice(size, line[:, None, None] * line[:, None] * line[: size // 2 + 1] * (size / box) ** 3)


def _window_means(volume: Float[Tensor, "n n n"], lattice: _Lattice) -> Float[Tensor, "m m m"]:
    """Means of a map in the windows around the points of the lattice; point 0 is voxel 0, edges wrap around."""
    rows = torch.fft.fftfreq(lattice.size, 1 / lattice.size, device=volume.device).long() % volume.shape[-1]
    spectrum = torch.fft.rfftn(volume)[rows][:, rows][..., : lattice.size // 2 + 1]
    return torch.fft.irfftn(spectrum * lattice.transfer.to(volume), s=(lattice.size,) * 3)


def _first_crossing(
    curves: Float[Tensor, " b *m"], centers: Float[Tensor, " b"], threshold: float
) -> Float[Tensor, "*m"]:
    """Shell at which each curve first falls below the threshold, interpolated; the last one if it never does."""
    below = curves < threshold
    first = below.long().argmax(0)
    before = curves.gather(0, (first - 1).clamp_min(0)[None])[0]
    after = curves.gather(0, first[None])[0]
    fraction = (before - threshold) / (before - after).clamp_min(1e-6)
    crossing = torch.lerp(centers[(first - 1).clamp_min(0)], centers[first], fraction.clamp(0, 1))
    crossing = torch.where(first == 0, centers[0], crossing)
    return torch.where(below.any(0), crossing, centers[-1])


def _interpolated(values: Float[Tensor, "m m m"], box: int) -> Float[Tensor, "n n n"]:
    """Values at all voxels, trilinear between the points of the lattice, periodic."""
    size = values.shape[-1]
    position = torch.arange(box, device=values.device) * (size / box)
    low = position.floor().long()
    fraction = (position - low).to(values)
    weights = values.new_zeros(box, size)
    rows = torch.arange(box, device=values.device)
    weights[rows, low] = 1 - fraction
    weights[rows, (low + 1) % size] += fraction
    for _ in range(3):
        values = torch.tensordot(values, weights, ([0], [1]))
    return values
