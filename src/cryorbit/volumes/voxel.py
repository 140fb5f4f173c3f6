"""A volume on voxels, seen through a padded Fourier grid just large enough for the current radius.

Maps of the full box are cropped in Fourier space to a *working box*; the working volume, divided by the transform of
the trilinear kernel (gridding correction) and zero-padded, gives the grid that ``fourier.interpolation`` samples.
`VoxelGrid` and `VoxelModel` are the protocols of ``volumes.model`` for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int, Int64
from scipy.fft import next_fast_len
from torch import Tensor

from cryorbit.fourier.interpolation import add_exact_slices, gather_slices, insert_slices, join_mates
from cryorbit.fourier.padded import middle_of_inverse, padded_transform
from cryorbit.kernels.gather import gather_by_class
from cryorbit.kernels.table import POSE_SCORES
from cryorbit.volumes.model import Quanta, SumPlanes, divided, each_class
from cryorbit.volumes.padded_grid import PAD, PaddedGrid


@dataclass(frozen=True, slots=True)
class VoxelGrid(PaddedGrid):
    """Geometry of a working volume."""

    @property
    def scale(self) -> float:
        """Factor from the transform of the working volume to unitary slices of the full box."""
        return self.box**2 / self.size**3

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the padded half grid."""
        return self.padded, self.padded, self.padded // 2 + 1

    def radius(self, like: Tensor, planes: slice = slice(None)) -> Float[Tensor, "z q h"]:
        """Distance of the points of the padded half grid, or of some planes, from the origin, pixels of the box."""
        full, half = self.axes(like)
        return (full[planes, None, None] ** 2 + (full[:, None] ** 2 + half**2)).sqrt_()

    def model(self, unknown: Float[Tensor, "k m m m"]) -> VoxelModel:
        """Working volumes as slices are read from them."""
        return VoxelModel(synthesize(unknown, self))

    def insert(
        self,
        values: Complex[Tensor, "e p"],
        weights: Float[Tensor, "e p"],
        rotations: Float[Tensor, "e 3 3"],
        frequencies: Float[Tensor, "p 2"],
    ) -> tuple[Complex[Tensor, "q q h"], Float[Tensor, "q q h"]]:
        """D and W of one volume from those of its slices."""
        return insert_slices(values, weights, rotations, frequencies, self.padded, PAD)

    def add(
        self,
        counts: Int64[Tensor, "q q h 3"],
        quanta: Quanta,
        values: Complex[Tensor, "e p"],
        weights: Float[Tensor, "e p"],
        rotations: Float[Tensor, "e 3 3"],
        frequencies: Float[Tensor, "p 2"],
    ) -> None:
        """Add the same to D and W in quanta, in place."""
        add_exact_slices(counts, quanta, values, weights, rotations, frequencies, PAD)

    def adjoint(self, data: Complex[Tensor, "*k q q h"]) -> Float[Tensor, "*k m m m"]:
        """Adjoint of ``synthesize`` under the real inner product, applied to a half volume from ``insert``."""
        # half: the inverse transform counts coefficients with their mates, as join_mates has done in the plane x = 0
        factor, joined = 0.5 * self.scale * self.padded**3, join_mates(data)
        real = each_class(lambda one: middle_of_inverse(lambda part: one[part], self.padded, self.size, one), joined)
        return real.mul_(factor).div_(_gridding_kernel(real, self))

    def solve(self, planes: SumPlanes, like: Complex[Tensor, "*any"]) -> Float[Tensor, "m m m"]:
        """Working volume whose grid is ``D / W``, made some planes at a time."""
        real = middle_of_inverse(lambda part: divided(*planes(part)), self.padded, self.size, like)
        return real.div_(self.scale).div_(_gridding_kernel(real, self))


@dataclass(frozen=True, slots=True)
class VoxelModel:
    """Volumes of K classes, as `VoxelGrid.model` makes them: slices by trilinear interpolation.

    Attributes
    ----------
    spectra
        Padded half transforms, from ``synthesize``; for slices of the plane z = 0, two planes are enough.
    """

    spectra: Complex[Tensor, "k z q h"]

    def slices(
        self, klass: Int[Tensor, " e"], rotation: Float[Tensor, "e 3 3"], frequencies: Float[Tensor, "p 2"]
    ) -> Complex[Tensor, "e p"]:
        """The slice of each class in each rotation."""
        return gather_by_class(gather_slices, klass, rotation, self.spectra, frequencies, PAD)

    def scores(
        self,
        data: Complex[Tensor, "b p"],
        weight: Float[Tensor, "b p"],
        candidates: tuple[Int[Tensor, " e"], Int[Tensor, " e"], Float[Tensor, "e 3 3"]],
        frequencies: Float[Tensor, "p 2"],
        phases: Complex[Tensor, "t p"],
    ) -> Float[Tensor, "e t"]:
        """Scores of candidate poses under shifts, nats."""
        score = POSE_SCORES.choose(self.spectra)
        return score(data, weight, candidates, self.spectra, frequencies, PAD, phases)


def working_grid(box: int, radius: float) -> VoxelGrid:
    """The smallest working box with a fast transform that holds slices of ``radius`` Fourier pixels."""
    # the outermost coefficients of a slice lie 2 r from the origin of the padded grid: their neighbours must be on it
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
    # grey values stay: the inverse transform has divided by the new number of voxels
    return torch.fft.fftshift(fitted, dim=dims) * (size / old) ** 3


def synthesize(volume: Float[Tensor, "*k m m m"], grid: VoxelGrid) -> Complex[Tensor, "*k q q h"]:
    """Half transform on the padded grid, scaled so that its slices are unitary transforms of projections."""
    kernel = _gridding_kernel(volume, grid)
    return each_class(lambda one: padded_transform(one / kernel, grid.padded).mul_(grid.scale), volume)


def quotient(volume: Float[Tensor, "*k m m m"], grid: VoxelGrid) -> Complex[Tensor, "*k q q h"]:
    """The grid of ``D / W`` that `VoxelGrid.solve` makes this working volume of.

    Unlike that of ``synthesize`` it stands for data spread to their neighbours, not for values to interpolate between.
    """
    kernel = _gridding_kernel(volume, grid)
    return each_class(lambda one: padded_transform(one * kernel, grid.padded).mul_(grid.scale), volume)


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


def _gridding_kernel(like: Tensor, grid: VoxelGrid) -> Float[Tensor, "m m m"]:
    """Transform of the trilinear kernel in real space, a product along the axes."""
    line = grid.kernel(like)
    return (line[:, None, None] * line[:, None] * line).to(like.dtype)


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
