"""Moments of noisy images on rings: one pass, unbiased under any CTFs and any noise spectrum, with standard errors.

An image is ``y_n(k) = H(k) x_n(k) + e_n(k)``. Products are those of ``H y``, so with means over images

    E [product of H y] = E [product of x] times mean(H^2 H'^2 H''^2) + what the noise adds.

Nothing is divided: a model is multiplied by the weights and compared with the products. Noise adds to the second moment
its covariance times mean(H H'), and to the third, wherever two of the three orders cancel, that covariance times the
mean of the third wave. Sums add over batches and half-sets.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.moments.ring_moments import RingMoments, order_pairs, square_moments, weighted_moments


@dataclass(frozen=True, slots=True)
class RingWeights:
    """Mean products of squared CTFs on one, two and three rings."""

    first: Float[Tensor, " k"]
    second: Float[Tensor, "k k"]
    third: Float[Tensor, "k k k"]

    def of(self, moments: RingMoments) -> RingMoments:
        """Moments as they are seen through the CTFs."""
        return RingMoments(self.first * moments.first, self.second * moments.second, self.third * moments.third)

    def within(self, rings: int) -> RingWeights:
        """Those of the first rings."""
        return RingWeights(self.first[:rings], self.second[:rings, :rings], self.third[:rings, :rings, :rings])


@dataclass(frozen=True, slots=True)
class RingEstimate:
    """What was measured.

    Attributes
    ----------
    products
        Moments times weights, free of noise.
    errors
        Standard deviation of each entry; of a complex one that of its magnitude, of both parts together.
    noise
        What noise had added and was taken off.
    weights
        Of the moments.
    """

    products: RingMoments
    errors: RingMoments
    noise: RingMoments
    weights: RingWeights

    def within(self, orders: int, rings: int) -> RingEstimate:
        """The estimate for fewer orders and rings."""
        products, errors, noise = (each.within(orders, rings) for each in (self.products, self.errors, self.noise))
        return RingEstimate(products, errors, noise, self.weights.within(rings))


@dataclass(frozen=True, slots=True)
class RingSums:
    """Sums over images; made by ``of`` or ``none``, added with ``+``; of double precision.

    Attributes
    ----------
    count
        Number of images.
    first, second, third
        Of products of waves times CTF.
    first_squares, second_squares, third_squares
        Of their squared magnitudes.
    first_weight, second_weight, third_weight
        Of products of squared CTFs.
    transfer
        Of ``H(k) H(k')``.
    seen
        Of ``H(k) H(k') (H y_0)(k'')``.
    """

    count: Float[Tensor, ""]
    first: Float[Tensor, " k"]
    second: Complex[Tensor, "n k k"]
    third: Complex[Tensor, "p k k k"]
    first_squares: Float[Tensor, " k"]
    second_squares: Float[Tensor, "n k k"]
    third_squares: Float[Tensor, "p k k k"]
    first_weight: Float[Tensor, " k"]
    second_weight: Float[Tensor, "k k"]
    third_weight: Float[Tensor, "k k k"]
    transfer: Float[Tensor, "k k"]
    seen: Float[Tensor, "k k k"]

    @classmethod
    def of(
        cls, waves: Complex[Tensor, "b n k"], transfer: Float[Tensor, "b k"], *, premultiplied: bool = False
    ) -> RingSums:
        """Sums of a batch of images; ``waves`` of premultiplied images hold the CTF once more."""
        transfer = transfer.to(waves.real)
        weighted = waves if premultiplied else waves * transfer[:, None]
        products = weighted_moments(weighted, torch.ones_like(transfer[:, 0]))
        squares = square_moments(weighted)
        power = transfer.square()
        sums = (
            transfer.new_tensor(len(waves)),
            *(products.first, products.second, products.third),
            *(squares.first, squares.second, squares.third),
            *(power.sum(0), power.mT @ power, _cubes(power, power)),
            *(transfer.mT @ transfer, _cubes(transfer, weighted[:, 0].real)),
        )
        return cls(*(each.to(torch.complex128 if each.is_complex() else torch.float64) for each in sums))

    @classmethod
    def none(cls, orders: int, rings: int, device: torch.device) -> RingSums:
        """Sums over no images."""
        one = torch.zeros(1, orders + 1, rings, dtype=torch.complex128, device=device)
        empty = cls.of(one, one[:, 0].real)
        return cls(torch.zeros_like(empty.count), *empty.tensors()[1:])

    def tensors(self) -> tuple[Tensor, ...]:
        """All sums, in order."""
        return tuple(getattr(self, each.name) for each in fields(self))

    def __add__(self, other: RingSums) -> RingSums:
        """Sums over both sets of images."""
        return RingSums(*(a + b for a, b in zip(self.tensors(), other.tensors(), strict=True)))

    def estimate(self, noise: Float[Tensor, "n k k"]) -> RingEstimate:
        """The estimates, given the covariances of the noise."""
        means = RingSums(self.count, *(each / self.count for each in self.tensors()[1:]))
        added = RingMoments(torch.zeros_like(means.first), noise * means.transfer, _noise_in_thirds(noise, means.seen))
        products = RingMoments(means.first, means.second - added.second, means.third - added.third)
        errors = RingMoments(
            _deviation(means.first_squares, means.first, self.count),
            _deviation(means.second_squares, means.second, self.count),
            _deviation(means.third_squares, means.third, self.count),
        )
        weights = RingWeights(means.first_weight, means.second_weight, means.third_weight)
        return RingEstimate(products, errors, added, weights)


def _cubes(pairs: Float[Tensor, "b k"], third: Float[Tensor, "b k"]) -> Float[Tensor, "k k k"]:
    """Sums of ``pairs(k) pairs(k') third(k'')``."""
    both = (pairs[:, :, None] * pairs[:, None, :]).flatten(1)
    return (both.mT @ third).unflatten(0, (pairs.shape[1],) * 2)


def _noise_in_thirds(noise: Float[Tensor, "n k k"], seen: Float[Tensor, "k k k"]) -> Float[Tensor, "p k k k"]:
    """What noise adds to third moments: two of the three waves are its own and cancel in order."""
    rows = []
    for a, b in order_pairs(len(noise) - 1).tolist():
        row = torch.zeros_like(seen)
        if b == 0:
            row = row + torch.einsum("ik,ikj->ijk", noise[a], seen)
        if a == 0:
            row = row + torch.einsum("jk,jki->ijk", noise[0], seen) + noise[0][:, :, None] * seen
        rows.append(row)
    return torch.stack(rows)


def _deviation(squares: Tensor, mean: Tensor, count: Tensor) -> Tensor:
    """Standard deviation of a mean, from the mean of squared magnitudes."""
    return ((squares - mean.abs().square()).clamp_min(0) / count).sqrt()
