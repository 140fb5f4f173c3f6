"""The unknown behind two protocols: what E-steps read of it, and where their sums and the M-step's maps live.

A `ModelGrid` is the geometry of an unknown at a Fourier radius: it makes a `Model` of a working unknown, takes weighted
slices in, and makes a working unknown of their sums. A `Model` is K classes of the unknown, transformed, and gives
slices. E-steps, statistics and M-steps know no more, so an unknown of another kind is one more file in ``volumes/``.

Unknowns are real tensors with a leading class axis. D and W of a class are arrays on a padded half Fourier grid
``[z q h]``, laid out as by ``torch.fft.rfftn``. `ModelGrid.solve` asks for some of their planes (constant z) at a time,
so that nothing else of their size stands in memory.

The map A from an unknown to its slices is linear, and the two protocols hold its exact adjoint: under the real inner
products ``sum a b`` of unknowns and ``Re sum conj(a) b`` of slices,

    A x = grid.model(x).slices(...),    A^T y = grid.adjoint(D)   with D of grid.insert(y, ...)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from jaxtyping import Complex, Float, Int, Int64
from torch import Tensor

SumPlanes = Callable[[slice], tuple[Complex[Tensor, "z q h"], Float[Tensor, "z q h"]]]
"""Gives some planes (constant z) of D and W, the plane x = 0 completed by ``fourier.interpolation.join_mates``."""


Quanta = tuple[float, float]
"""Of what D and of W are sums of whole multiples."""


class Model(Protocol):
    """K classes of an unknown, as slices are read from them."""

    @property
    def spectra(self) -> Complex[Tensor, "k z q h"]:
        """Padded half transforms of the classes, scaled so that slices are unitary transforms of the full box."""
        ...

    def slices(
        self, klass: Int[Tensor, " e"], rotation: Float[Tensor, "e 3 3"], frequencies: Float[Tensor, "p 2"]
    ) -> Complex[Tensor, "e p"]:
        """The slice of each class in each rotation, at frequencies of a half disc (Fourier pixels of the full box)."""
        ...

    def scores(
        self,
        data: Complex[Tensor, "b p"],
        weight: Float[Tensor, "b p"],
        candidates: tuple[Int[Tensor, " e"], Int[Tensor, " e"], Float[Tensor, "e 3 3"]],
        frequencies: Float[Tensor, "p 2"],
        phases: Complex[Tensor, "t p"],
    ) -> Float[Tensor, "e t"]:
        """Log-likelihoods of candidate poses under shifts, nats, relative to no particle.

        For a candidate e of image b with slice Y and a shift t,

            score_et = Re sum conj(Y_e) S_t data_b - 1/2 sum weight_b |Y_e|^2.

        It follows from `slices`, and stands here because slices that are used at once need not be written.

        Parameters
        ----------
        data, weight
            Of the images, as ``Observations`` have them, moved to the centres of their shift lattices.
        candidates
            Image, class and rotation of each candidate; the fewer times the image changes, the less is computed twice.
        frequencies
            Of the half disc, Fourier pixels.
        phases
            Of the lattice of shifts.
        """
        ...


class ModelGrid(Protocol):
    """Geometry of an unknown at a Fourier radius."""

    @property
    def box(self) -> int:
        """Side of the full box, pixels."""
        ...

    @property
    def size(self) -> int:
        """Side of the working unknown, pixels."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the padded half grid of a class: planes, rows, columns."""
        ...

    def radius(self, like: Tensor, planes: slice = slice(None)) -> Float[Tensor, "z q h"]:
        """Distance of the points of the grid, or of some planes, from the origin, Fourier pixels of the full box."""
        ...

    def model(self, unknown: Float[Tensor, "k ..."]) -> Model:
        """Working unknowns as slices are read from them; linear."""
        ...

    def insert(
        self,
        values: Complex[Tensor, "e p"],
        weights: Float[Tensor, "e p"],
        rotations: Float[Tensor, "e 3 3"],
        frequencies: Float[Tensor, "p 2"],
    ) -> tuple[Complex[Tensor, "z q h"], Float[Tensor, "z q h"]]:
        """D and W of one class from those of its slices (the plane x = 0 not yet joined with its mates)."""
        ...

    def add(
        self,
        counts: Int64[Tensor, "z q h 3"],
        quanta: Quanta,
        values: Complex[Tensor, "e p"],
        weights: Float[Tensor, "e p"],
        rotations: Float[Tensor, "e 3 3"],
        frequencies: Float[Tensor, "p 2"],
    ) -> None:
        """Add what `insert` makes of the slices to D (real and imaginary part) and W in quanta, in place."""
        ...

    def adjoint(self, data: Complex[Tensor, "*k z q h"]) -> Float[Tensor, "..."]:
        """Adjoint of the transform in `model`, applied to D from `insert`."""
        ...

    def solve(self, planes: SumPlanes, like: Complex[Tensor, "*any"]) -> Float[Tensor, "..."]:
        """The working unknown whose grid is ``D / W``, zero where W is; a prior's precision is a part of W."""
        ...


def solve(
    data: Complex[Tensor, "*k z q h"], weight: Float[Tensor, "*#k z q h"], grid: ModelGrid
) -> Float[Tensor, "..."]:
    """Working unknowns whose grids are ``data / weight``, both in memory and completed by ``join_mates``."""
    return each_class(lambda d, w: grid.solve(lambda part: (d[part], w[part]), d), data, weight)


def divided(data: Complex[Tensor, "z q h"], weight: Float[Tensor, "z q h"]) -> Complex[Tensor, "z q h"]:
    """``data / weight``, zero where the weight is."""
    return (data / weight.clamp_min(torch.finfo(weight.dtype).tiny)).masked_fill_(weight <= 0, 0.0)


def each_class(function: Callable[..., Tensor], *arrays: Tensor) -> Tensor:
    """What a function makes of each three-dimensional array, or of one of each kind, in the first's leading axes."""
    leading = arrays[0].shape[:-3]
    flat = [each.expand(*leading, *each.shape[-3:]).reshape(-1, *each.shape[-3:]) for each in arrays]
    first = function(*(each[0] for each in flat))
    if len(flat[0]) == 1:
        return first.reshape(*leading, *first.shape)
    results = first.new_empty(math.prod(leading), *first.shape)
    results[0] = first
    for number in range(1, len(results)):
        results[number] = function(*(each[number] for each in flat))
    return results.reshape(*leading, *first.shape)
