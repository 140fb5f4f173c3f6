"""Moments of noisy observations: one pass, unbiased under white and coloured noise and under CTFs, with errors.

An observation enters as data and weight, ``data = weight * y + noise`` with noise of variance ``weight`` in each entry.
With CTF c and noise variance s that is ``data = c x / s``, ``weight = c^2 / s`` of a measured ``x = c y + noise``: the
arrays of `imaging.observations`, real and imaginary parts one after the other. Then

    E y     = mean(data) / mean(weight)
    E y y^T = (mean(data data^T) - diag mean(weight)) / mean(weight weight^T)               entry by entry

whatever the spread of the CTFs. Sums add over chunks, processes and half-sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce
from operator import add

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.imaging.observations import Observations
from cryorbit.moments.pair import Moments, real_vectors

LEAST_WEIGHT = 1e-3
"""Mean product of weights, parts of the largest, below which an entry is damped rather than divided out."""


@dataclass(frozen=True, slots=True)
class MomentSums:
    """Sums over observations; made by ``of``, added with ``+``; float64.

    Attributes
    ----------
    count
        Number of observations.
    data, data_products
        Sums of the data and of their outer products.
    weight, weight_products
        Sums of the weights and of their outer products.
    squares, square_products
        Sums of the squared data and of their outer products, for the errors.
    """

    count: int
    data: Float[Tensor, " d"]
    data_products: Float[Tensor, "d d"]
    weight: Float[Tensor, " d"]
    weight_products: Float[Tensor, "d d"]
    squares: Float[Tensor, " d"]
    square_products: Float[Tensor, "d d"]

    @classmethod
    def of(cls, data: Float[Tensor, "n d"], weight: Float[Tensor, "m d"]) -> MomentSums:
        """Sums of n observations; ``weight`` has a row for each, or one for all."""
        squares = data.square()
        times = len(data) / len(weight)
        sums = (data, weight, squares)
        totals = [each.sum(0).double() for each in sums]
        products = [(each.mT @ each).double() for each in sums]
        return cls(
            len(data),
            *(totals[0], products[0]),
            *(times * totals[1], times * products[1]),
            *(totals[2], products[2]),
        )

    @classmethod
    def of_images(cls, images: Observations) -> MomentSums:
        """Sums of images on the half disc."""
        return cls.of(real_vectors(images.data), torch.cat([images.weight, images.weight], -1))

    def __add__(self, other: MomentSums) -> MomentSums:
        """Sums over both sets of observations."""
        return MomentSums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def moments(self) -> Moments:
        """The estimates."""
        weight, weights = self._denominators()
        products = self.data_products - torch.diag_embed(self.weight)
        return Moments(self.data / weight, products / weights)

    def standard_errors(self) -> Moments:
        """Standard deviation of each entry of the estimates."""
        weight, weights = self._denominators()
        first = self.squares - self.data.square() / self.count
        second = self.square_products - self.data_products.square() / self.count
        return Moments(first.clamp_min(0).sqrt() / weight, second.clamp_min(0).sqrt() / weights)

    def _denominators(self) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
        return _damped(self.weight), _damped(self.weight_products)


def add_up(parts: Iterable[MomentSums]) -> MomentSums:
    """The sum of one or more parts; one is held at a time."""
    return reduce(add, parts)


def _damped(weights: Tensor) -> Tensor:
    return weights.clamp_min(LEAST_WEIGHT * float(weights.max()))
