"""A volume as the coefficients of its transform within a ball, stacked to a real vector; no padding.

A real volume has one independent coefficient for every pair ``k, -k``. Their real and imaginary parts, times the
square root of two, and the origin, which is real, are the entries of a vector x of length 2 K - 1. So inner products
of such vectors are those of whole complex grids, ``<x, y> = Re sum conj(v) w`` over all k of the ball: norms, gradients
and eigenvalues are the ones an unknown on the whole grid has, without its redundancy.

Slices are interpolated trilinearly between neighbouring coefficients. With poses known, the Hessian of their misfit
couples coefficients within a cell of the grid and no others, so its diagonal is a sum over points of a slice of squared
weights, and the real and the imaginary part of a coefficient have the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int, Shaped
from torch import Tensor

from cryorbit.volumes.voxel import VoxelGrid, resample, working_grid

PAD = 1


@dataclass(frozen=True, slots=True)
class FourierBall:
    """Which coefficients there are, and where they lie in a half transform ``(z, y, x)``; made by ``fourier_ball``.

    Attributes
    ----------
    grid
        Box of the images, and the working box whose transform holds the ball.
    radius
        Largest |k|, Fourier pixels.
    positions
        Flat index of each of the K coefficients in the half transform, the origin first, sorted by |k|.
    mates
        Flat index of the redundant mate of each coefficient with ``kx = 0``; for others, and for the origin, the size
        of the half transform.
    lengths
        |k| of each coefficient, Fourier pixels.
    """

    grid: VoxelGrid
    radius: float
    positions: Int[Tensor, " k"]
    mates: Int[Tensor, " k"]
    lengths: Float[Tensor, " k"]

    @property
    def half_shape(self) -> tuple[int, int, int]:
        """Shape of the half transform."""
        return self.grid.size, self.grid.size, self.grid.size // 2 + 1

    @property
    def dimension(self) -> int:
        """Length of the vector."""
        return 2 * len(self.positions) - 1

    @property
    def shells(self) -> Int[Tensor, " d"]:
        """Shell of each entry of the vector: the nearest integer to |k|."""
        shells = self.lengths.round().long()
        return torch.cat([shells, shells[1:]])

    def to(self, device: torch.device | str) -> FourierBall:
        """The same ball on ``device``."""
        arrays = (array.to(device) for array in (self.positions, self.mates, self.lengths))
        return FourierBall(self.grid, self.radius, *arrays)

    def half_transform(self, x: Float[Tensor, " d"]) -> Complex[Tensor, "m m h"]:
        """The half transform that the vector stands for; zero beyond the ball."""
        values = torch.complex(*self._parts(x))
        # one place more than there is, for mates that do not exist
        half = values.new_zeros(math.prod(self.half_shape) + 1)
        half[self.mates] = values.conj()
        half[self.positions] = values
        return half[:-1].view(self.half_shape)

    def adjoint(self, half: Complex[Tensor, "m m h"]) -> Float[Tensor, " d"]:
        """Adjoint of ``half_transform`` under ``Re sum conj(a) b`` over the entries of the half transform."""
        flat = torch.cat([half.flatten(), half.new_zeros(1)])
        values = flat[self.positions] + flat[self.mates].conj()
        return torch.cat([values.real[:1], math.sqrt(0.5) * values.real[1:], math.sqrt(0.5) * values.imag[1:]])

    def diagonal(self, half: Float[Tensor, "m m h"]) -> Float[Tensor, " d"]:
        """Diagonal of ``adjoint diag(half) half_transform``."""
        flat = torch.cat([half.flatten(), half.new_zeros(1)])
        values = flat[self.positions] + flat[self.mates]
        return torch.cat([values[:1], 0.5 * values[1:], 0.5 * values[1:]])

    def real_volume(self, x: Float[Tensor, " d"]) -> Float[Tensor, "n n n"]:
        """The density ``[z, y, x]`` on the box of the images whose slices are the ones interpolated from ``x``."""
        size = self.grid.size
        working = torch.fft.irfftn(self.half_transform(x), s=(size,) * 3) / self.grid.scale
        return resample(torch.fft.fftshift(working) * _kernel_transform(size).to(working), self.grid.box)

    def coefficients(self, volume: Float[Tensor, "n n n"]) -> Float[Tensor, " d"]:
        """The vector of a density: of its transform, divided by the interpolating kernel's in real space."""
        working = resample(volume, self.grid.size)
        working = working / _kernel_transform(self.grid.size).to(working)
        half = torch.fft.rfftn(torch.fft.ifftshift(working)) * self.grid.scale
        values = half.flatten()[self.positions]
        return torch.cat([values.real[:1], math.sqrt(2) * values.real[1:], math.sqrt(2) * values.imag[1:]])

    def _parts(self, x: Shaped[Tensor, " d"]) -> tuple[Shaped[Tensor, " k"], Shaped[Tensor, " k"]]:
        """Real and imaginary parts of the coefficients."""
        count = len(self.positions)
        scaled = math.sqrt(0.5) * x
        return torch.cat([x[:1], scaled[1:count]]), torch.cat([torch.zeros_like(x[:1]), scaled[count:]])


def fourier_ball(box: int, radius: float) -> FourierBall:
    """The ball of ``radius`` Fourier pixels, below ``box / 2``, of volumes on ``box`` voxels."""
    grid = working_grid(box, radius)
    size = grid.size
    axis = torch.fft.fftfreq(size, 1 / size).round().long()
    kz, ky, kx = (each.flatten() for each in torch.meshgrid(axis, axis, torch.arange(size // 2 + 1), indexing="ij"))
    lengths = torch.sqrt((kx**2 + ky**2 + kz**2).double())
    upper = (kx > 0) | (ky > 0) | ((ky == 0) & (kz >= 0))
    chosen = torch.nonzero((lengths <= radius) & upper)[:, 0]
    positions = chosen[lengths[chosen].argsort(stable=True)]
    rows, columns = (-kz[positions]) % size, (-ky[positions]) % size
    mates = (rows * size + columns) * (size // 2 + 1)
    mates[(kx[positions] > 0) | (lengths[positions] == 0)] = len(kx)
    return FourierBall(grid, radius, positions, mates, lengths[positions].float())


def _kernel_transform(size: int) -> Float[Tensor, "m m m"]:
    """Transform of the trilinear kernel between unpadded coefficients: a product of sinc^2 along the axes."""
    line = torch.sinc((torch.arange(size, dtype=torch.float64) - size // 2) / size) ** 2
    return line[:, None, None] * line[:, None] * line
