"""D and W of volumes as whole numbers of a quantum: the same bits whoever adds first, and on however many processes.

Axis legend: S half-sets, K classes, z q h the padded half grid of ``volumes.model``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Complex, Float, Int, Int64
from torch import Tensor

from cryorbit.core.conventions import HERMITIAN_WEIGHT
from cryorbit.core.errors import InputError
from cryorbit.execution.group import Group
from cryorbit.inference.band import Band
from cryorbit.kernels.table import ZEROS
from cryorbit.volumes.model import Quanta

LARGEST_SUM = 2.0**62
COPIES = 8
"""Symmetry copies of an image that are inserted each, at most; five are (`statistics.inserted_copies`)."""
LARGEST_AMPLITUDE = 2.0**18
"""Standard deviations of the noise that a coefficient of an image may have, times its CTF."""
LARGEST_CTF = 2.0**4
"""With the contrast of an image."""
NOISE_RANGE = 1e-6
"""Of noise variances, least over largest. Shells with less than that, of filtered images, weigh more than quanta are
made for: that comes off the largest amplitude, and does not make quanta of the other shells coarse."""


@dataclass(frozen=True, slots=True)
class SumPlane:
    """A plane of D and W in single precision.

    Attributes
    ----------
    place
        Half-set, class and z.
    rows
        Rows that something fell on.
    data, weight
        D and W there.
    """

    place: tuple[int, ...]
    rows: Int[Tensor, " r"]
    data: Complex[Tensor, "r h"]
    weight: Float[Tensor, "r h"]


@dataclass(frozen=True, slots=True)
class WeightedSlices:
    """Slices to be added to the sums of a half-set and a class.

    Attributes
    ----------
    half, klass
        Their numbers.
    values, weights
        What the slices add to D and W.
    rotations
        Their poses.
    """

    half: int
    klass: int
    values: Complex[Tensor, "e p"]
    weights: Float[Tensor, "e p"]
    rotations: Float[Tensor, "e 3 3"]


@dataclass(frozen=True, slots=True)
class ExactSums:
    """Sums over images of which all that is added is a multiple of a quantum.

    Attributes
    ----------
    band
        Their grid and the half disc of what is inserted.
    counts
        Real part and imaginary part of D, and W, in quanta.
    quanta
        Those of D and of W.
    limits
        Of a part of a coefficient and of a weight: as many images as were announced, all of them as large and in
        one place, make a sum of less than 64 bits.
    largest
        The largest part, real or imaginary, of a coefficient and the largest weight so far, changed in place.
    """

    band: Band
    counts: Int64[Tensor, "s k z q h 3"]
    quanta: Quanta
    limits: Float[Tensor, " 2"]
    largest: Float[Tensor, " 2"]

    def add(self, parts: Sequence[WeightedSlices]) -> None:
        """Insert slices into the sums of their half-sets and classes: all that a batch adds, in one call.

        Raises
        ------
        InputError
            The memory of the device was full when some of it had been added: the batch cannot be tried again.
        """
        try:
            for part in parts:
                self._add(part)
        except torch.OutOfMemoryError as error:
            raise InputError(
                "the memory of the GPU is full",
                fix="use a GPU with more memory, fewer classes or a coarser --max-resolution",
            ) from error

    def _add(self, part: WeightedSlices) -> None:
        slices = part.values, part.weights, part.rotations
        self.band.grid.add(self.counts[part.half, part.klass], self.quanta, *slices, self.band.disc.frequencies)
        least, most = torch.aminmax(torch.view_as_real(part.values))
        largest = torch.stack([torch.maximum(most, -least), part.weights.amax()])
        torch.maximum(self.largest, largest.to(self.largest), out=self.largest)

    def write_to(self, stream: BinaryIO) -> None:
        """Write down the counts, plane by plane, and the largest parts."""
        np.save(stream, self.largest.cpu().numpy())
        for place in np.ndindex(*self.counts.shape[:3]):
            rows = touched_rows(self.counts[place])
            np.save(stream, rows.cpu().numpy())
            np.save(stream, self.counts[place][rows].cpu().numpy())

    def add_from(self, stream: BinaryIO) -> None:
        """Add sums on the same grid that were written down."""
        torch.maximum(self.largest, self._read(stream), out=self.largest)
        for place in np.ndindex(*self.counts.shape[:3]):
            rows = self._read(stream)
            self.counts[place].index_add_(0, rows, self._read(stream))

    def _read(self, stream: BinaryIO) -> Tensor:
        return torch.from_numpy(np.load(stream)).to(self.counts.device)

    def gather_(self, group: Group) -> None:
        """Make them the sums over the images of all processes, in place."""
        group.sum_([self.counts])
        # every process has to end where one does
        self.largest.copy_(torch.stack(group.gather(self.largest)).amax(0))

    def planes(self) -> Iterator[SumPlane]:
        """D and W in single precision, plane by plane.

        Raises
        ------
        InputError
            A coefficient was larger than the limit.
        """
        # what is not a number is not within the limits either
        if not bool((self.largest <= self.limits).all()):
            raise InputError(
                f"an image is over {LARGEST_AMPLITUDE:,.0f} times as strong as the noise",
                fix="normalise the images (mean 0 and standard deviation 1 around the particle)",
            )
        for place in np.ndindex(*self.counts.shape[:3]):
            plane = self.counts[place]
            rows = touched_rows(plane)
            values = plane[rows].float()
            data = torch.view_as_complex(values[..., :2] * self.quanta[0])
            yield SumPlane(place, rows, data, values[..., 2] * self.quanta[1])

    def write(self, data: Complex[Tensor, "s k z q h"], weight: Float[Tensor, "s k z q h"]) -> None:
        """Write D and W to arrays of zeros, but rows that nothing fell on: those take no memory.

        Raises
        ------
        InputError
            As for `planes`.
        """
        for plane in self.planes():
            data[plane.place][plane.rows], weight[plane.place][plane.rows] = plane.data, plane.weight


def touched_rows(plane: Int64[Tensor, "q h 3"]) -> Int64[Tensor, " r"]:
    """Rows of a plane that something fell on."""
    return torch.nonzero(plane.flatten(1).any(1))[:, 0]


def exact_sums(band: Band, images: int, halves: int, classes: int, device: torch.device) -> ExactSums:
    """Sums of nothing yet, for so many images of all processes together."""
    variance = band.noise_variance[: int(band.radius) + 1].double()
    least = float(variance.clamp_min(NOISE_RANGE * float(variance.max())).min())
    most = HERMITIAN_WEIGHT * LARGEST_AMPLITUDE / math.sqrt(least), HERMITIAN_WEIGHT * LARGEST_CTF**2 / least
    share = LARGEST_SUM / (COPIES * max(1, images))
    # powers of two: dividing by them rounds nothing
    value, weight = (2.0 ** math.ceil(math.log2(each / share)) for each in most)
    whole = torch.zeros(0, dtype=torch.int64, device=device)
    counts = ZEROS.choose(whole)((halves, classes, *band.grid.shape, 3), whole)
    limits = torch.tensor([value * share, weight * share], dtype=torch.float64, device=device)
    return ExactSums(band, counts, (value, weight), limits, torch.zeros_like(limits))
