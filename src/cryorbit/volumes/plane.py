"""A plane: an image as the unknown, seen turned about its own axis and shifted.

Its transform is the plane z = 0 of Fourier space, kept with the next one, which is empty: trilinear kernels meet that
with weight zero alone, so slices, scores and insertion are exactly bilinear, and those of volumes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int, Int64
from torch import Tensor

from cryorbit.fourier.interpolation import add_exact_slices, add_slices, join_mates
from cryorbit.volumes.model import Quanta, SumPlanes, divided
from cryorbit.volumes.padded_grid import PAD, PaddedGrid
from cryorbit.volumes.voxel import VoxelModel


@dataclass(frozen=True, slots=True)
class PlaneGrid(PaddedGrid):
    """Geometry of a working image."""

    @property
    def scale(self) -> float:
        """Factor from the transform of the working image to the unitary one of the full image."""
        return self.box / self.size**2

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the padded half grid: the plane, and the empty one."""
        return 2, self.padded, self.padded // 2 + 1

    def radius(self, like: Tensor, planes: slice = slice(None)) -> Float[Tensor, "z q h"]:
        """Distance of the points of the grid from the origin, pixels of the box; the empty plane lies far outside."""
        full, half = self.axes(like)
        radius = (full[:, None] ** 2 + half**2).sqrt_()
        return torch.stack([radius, torch.full_like(radius, self.box)])[planes]

    def model(self, unknown: Float[Tensor, "k m m"]) -> PlaneModel:
        """Working images as slices are read from them."""
        rows, columns = self._middle(unknown)
        padded = unknown.new_zeros(len(unknown), self.padded, self.padded)
        padded[:, rows, columns] = unknown / self._gridding_kernel(unknown)
        half = torch.fft.rfft2(padded).mul_(self.scale)
        return PlaneModel(torch.stack([half, torch.zeros_like(half)], 1))

    def insert(
        self,
        values: Complex[Tensor, "e p"],
        weights: Float[Tensor, "e p"],
        rotations: Float[Tensor, "e 3 3"],
        frequencies: Float[Tensor, "p 2"],
    ) -> tuple[Complex[Tensor, "z q h"], Float[Tensor, "z q h"]]:
        """D and W of one image from those of its slices."""
        sums = values.new_zeros(self.shape), weights.new_zeros(self.shape)
        add_slices(*sums, values, weights, _in_plane(rotations), frequencies, PAD)
        return sums

    def add(
        self,
        counts: Int64[Tensor, "z q h 3"],
        quanta: Quanta,
        values: Complex[Tensor, "e p"],
        weights: Float[Tensor, "e p"],
        rotations: Float[Tensor, "e 3 3"],
        frequencies: Float[Tensor, "p 2"],
    ) -> None:
        """Add the same to D and W in quanta, in place; raise ``ValueError`` if a rotation tilts the plane."""
        add_exact_slices(counts, quanta, values, weights, _in_plane(rotations), frequencies, PAD)

    def adjoint(self, data: Complex[Tensor, "*k z q h"]) -> Float[Tensor, "*k m m"]:
        """Adjoint of the transform in ``model`` under the real inner product, applied to D from ``insert``."""
        image = self._image(join_mates(data)[..., 0, :, :])
        # half: the inverse transform counts coefficients with their mates, as join_mates has done where x = 0
        return image.mul_(0.5 * self.scale * self.padded**2).div_(self._gridding_kernel(image))

    def solve(self, planes: SumPlanes, like: Complex[Tensor, "*any"]) -> Float[Tensor, "m m"]:
        """Working image whose grid is ``D / W``."""
        del like
        image = self._image(divided(*planes(slice(0, 1)))[0])
        return image.div_(self.scale).div_(self._gridding_kernel(image))

    def _image(self, half: Complex[Tensor, "*k q h"]) -> Float[Tensor, "*k m m"]:
        """The middle of the padded image that has this half transform."""
        rows, columns = self._middle(half)
        return torch.fft.irfft2(half, s=(self.padded, self.padded))[..., rows, columns]

    def _middle(self, like: Tensor) -> tuple[Int[Tensor, "m 1"], Int[Tensor, " m"]]:
        """Rows and columns of the working image in the padded one, whose origin is its centre pixel."""
        places = (torch.arange(self.size, device=like.device) - self.size // 2) % self.padded
        return places[:, None], places

    def _gridding_kernel(self, like: Tensor) -> Float[Tensor, "m m"]:
        """Transform of the bilinear kernel in real space, a product along the axes."""
        line = self.kernel(like)
        return (line[:, None] * line).to(like.dtype)


@dataclass(frozen=True, slots=True)
class PlaneModel:
    """Images of K classes, as `PlaneGrid.model` makes them. Rotations that tilt the plane raise ``ValueError``.

    Attributes
    ----------
    spectra
        Padded half transforms, each with an empty plane behind it.
    """

    spectra: Complex[Tensor, "k z q h"]

    def slices(
        self, klass: Int[Tensor, " e"], rotation: Float[Tensor, "e 3 3"], frequencies: Float[Tensor, "p 2"]
    ) -> Complex[Tensor, "e p"]:
        """The transform of each class, turned."""
        return VoxelModel(self.spectra).slices(klass, _in_plane(rotation), frequencies)

    def scores(
        self,
        data: Complex[Tensor, "b p"],
        weight: Float[Tensor, "b p"],
        candidates: tuple[Int[Tensor, " e"], Int[Tensor, " e"], Float[Tensor, "e 3 3"]],
        frequencies: Float[Tensor, "p 2"],
        phases: Complex[Tensor, "t p"],
    ) -> Float[Tensor, "e t"]:
        """Scores of candidate poses under shifts, nats."""
        image, klass, rotation = candidates
        turned = image, klass, _in_plane(rotation)
        return VoxelModel(self.spectra).scores(data, weight, turned, frequencies, phases)


def _in_plane(rotations: Float[Tensor, "e 3 3"]) -> Float[Tensor, "e 3 3"]:
    """The rotations, if they leave z as it is: others would read beyond the plane."""
    if bool((rotations[:, :2, 2] != 0).any()):
        raise ValueError("a plane is seen in rotations about its own axis alone")
    return rotations
