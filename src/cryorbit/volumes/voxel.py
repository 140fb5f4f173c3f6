"""A volume on voxels, seen through a padded Fourier grid just large enough for the current radius.

Maps of the full box are cropped in Fourier space to a *working box*; the working volume, divided by the transform of
the trilinear kernel (gridding correction) and zero-padded, gives the grid that ``fourier.interpolation`` samples.
``synthesize`` and ``adjoint`` are exact adjoints of each other; ``solve`` is the M-step's division on the grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from scipy.fft import next_fast_len
from torch import Tensor

from cryorbit.fourier.interpolation import join_mates
from cryorbit.fourier.padded import middle_of_inverse, padded_transform

PAD = 2


@dataclass(frozen=True, slots=True)
class VoxelGrid:
    """Geometry of a working box.

    Attributes
    ----------
    box
        Side of the full box, pixels.
    size
        Side of the working box, pixels; even, at most ``box``.
    """

    box: int
    size: int

    @property
    def padded(self) -> int:
        """Side of the padded Fourier grid."""
        return PAD * self.size

    @property
    def scale(self) -> float:
        """Factor from the transform of the working volume to unitary slices of the full box."""
        return self.box**2 / self.size**3


def working_grid(box: int, radius: float) -> VoxelGrid:
    """The smallest working box with a fast transform that holds slices of ``radius`` Fourier pixels."""
    least = 2 * int(radius) + 4
    size = 2 * next_fast_len(-(-least // 2), real=True)
    return VoxelGrid(box, min(size, box))


def resample(volume: Float[Tensor, "*k n n n"], size: int) -> Float[Tensor, "*k m m m"]:
    """The same density on a box of ``size`` voxels: its transform cropped or padded with zeros."""
    old = volume.shape[-1]
    if old == size:
        return volume
    dims = (-3, -2, -1)
    spectrum = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(volume, dim=dims), dim=dims), dim=dims)
    spectrum = _center_fit(spectrum, size)
    if size < old:
        # the row at -Nyquist has lost its mate: without it the cropped map is exactly real
        for dim in dims:
            spectrum.select(dim, 0).zero_()
    fitted = torch.fft.ifftn(torch.fft.ifftshift(spectrum, dim=dims), dim=dims).real
    return torch.fft.fftshift(fitted, dim=dims) * (size / old) ** 3


def synthesize(volume: Float[Tensor, "*k m m m"], grid: VoxelGrid) -> Complex[Tensor, "*k q q h"]:
    """Half transform on the padded grid, scaled so that its slices are unitary transforms of projections."""
    kernel = _gridding_kernel(volume, grid)
    return _each(lambda one: padded_transform(one / kernel, grid.padded).mul_(grid.scale), volume)


def adjoint(half: Complex[Tensor, "*k q q h"], grid: VoxelGrid) -> Float[Tensor, "*k m m m"]:
    """Adjoint of ``synthesize`` under the real inner product, applied to a half volume from ``insert_slices``."""
    factor, joined = 0.5 * grid.scale * grid.padded**3, join_mates(half)
    real = _each(lambda one: middle_of_inverse(lambda part: one[part], grid.padded, grid.size, one), joined)
    return real.mul_(factor).div_(_gridding_kernel(real, grid))


def solve(
    data: Complex[Tensor, "*k q q h"], weight: Float[Tensor, "*#k q q h"], grid: VoxelGrid
) -> Float[Tensor, "*k m m m"]:
    """Working volume whose grid is ``data / weight`` (both completed by ``join_mates``; zero where weight is)."""
    return _each(lambda d, w: solve_by_planes(lambda part: (d[part], w[part]), grid, d), data, weight)


def solve_by_planes(
    planes: Callable[[slice], tuple[Complex[Tensor, "z q h"], Float[Tensor, "z q h"]]],
    grid: VoxelGrid,
    like: Complex[Tensor, "*any"],
) -> Float[Tensor, "m m m"]:
    """The same from data and weight that are made some planes (constant z) at a time, and never stand in memory."""

    def quotient_of(part: slice) -> Complex[Tensor, "z q h"]:
        data, weight = planes(part)
        return (data / weight.clamp_min(torch.finfo(weight.dtype).tiny)).masked_fill_(weight <= 0, 0.0)

    real = middle_of_inverse(quotient_of, grid.padded, grid.size, like)
    return real.div_(grid.scale).div_(_gridding_kernel(real, grid))


def quotient(volume: Float[Tensor, "*k m m m"], grid: VoxelGrid) -> Complex[Tensor, "*k q q h"]:
    """The grid of ``data / weight`` that ``solve`` makes this working volume of.

    Unlike that of ``synthesize`` it stands for data spread to their neighbours, not for values to interpolate between.
    """
    kernel = _gridding_kernel(volume, grid)
    return _each(lambda one: padded_transform(one * kernel, grid.padded).mul_(grid.scale), volume)


def on_grid(spectrum: Float[Tensor, "*k q q h"], grid: VoxelGrid) -> Float[Tensor, "*k p p g"]:
    """Values of a padded half grid at the same frequencies on another one; zero where it did not reach."""
    old, new = spectrum.shape[-2], grid.padded
    if old == new:
        return spectrum
    side = min(old, new) // 2
    fitted = spectrum.new_zeros(*spectrum.shape[:-3], new, new, new // 2 + 1)
    # the frequencies 0 ... side - 1 and -side ... -1 of the two whole axes, 0 ... side of the halved one
    parts = (slice(0, side), slice(-side, None))
    for z in parts:
        for y in parts:
            fitted[..., z, y, : side + 1] = spectrum[..., z, y, : side + 1]
    return fitted


def grid_radius(grid: VoxelGrid, like: Tensor, planes: slice = slice(None)) -> Float[Tensor, "z q h"]:
    """Distance of the points of the padded half grid, or of some planes, from the origin, Fourier pixels of the box."""
    full = torch.fft.fftfreq(grid.padded, 1 / grid.padded, device=like.device) / PAD
    half = torch.arange(grid.padded // 2 + 1, device=like.device) / PAD
    return (full[planes, None, None] ** 2 + (full[:, None] ** 2 + half**2)).sqrt_()


def _gridding_kernel(like: Tensor, grid: VoxelGrid) -> Float[Tensor, "m m m"]:
    """Transform of the trilinear kernel in real space: a product of sinc^2 along the axes."""
    offset = torch.arange(grid.size, device=like.device, dtype=torch.float64) - grid.size // 2
    line = torch.sinc(offset / grid.padded) ** 2
    return (line[:, None, None] * line[:, None] * line).to(like.dtype)


def _each(function: Callable[..., Tensor], *volumes: Tensor) -> Tensor:
    """What a function makes of each volume, or of one of each kind, in the order of the first's leading axes."""
    leading = volumes[0].shape[:-3]
    flat = [each.expand(*leading, *each.shape[-3:]).reshape(-1, *each.shape[-3:]) for each in volumes]
    first = function(*(each[0] for each in flat))
    if len(flat[0]) == 1:
        return first.reshape(*leading, *first.shape)
    results = first.new_empty(math.prod(leading), *first.shape)
    results[0] = first
    for number in range(1, len(results)):
        results[number] = function(*(each[number] for each in flat))
    return results.reshape(*leading, *first.shape)


def _center_fit(volume: Tensor, size: int) -> Tensor:
    """Crop or zero-pad the last three axes to ``size``, keeping the centre ``n // 2`` in place."""
    old = volume.shape[-1]
    if size <= old:
        start = old // 2 - size // 2
        window = slice(start, start + size)
        return volume[..., window, window, window].clone()
    fitted = volume.new_zeros(*volume.shape[:-3], size, size, size)
    start = size // 2 - old // 2
    window = slice(start, start + old)
    fitted[..., window, window, window] = volume
    return fitted
