"""First, second and third moments of waves on rings, averaged over in-plane angles.

With waves ``x_n(k)`` of order n on the ring of radius k (see `rings`), all products of up to three waves whose average
over in-plane angles is not zero are, up to conjugates and changes of place,

    first:   E x_0(k)                                       second:  E x_n(k) conj x_n(k'),   n >= 0
    third:   E x_a(k) x_b(k') conj x_a+b(k''),   a >= b >= 0

(the third is the bispectrum). From uniform view directions the second says nothing of how the degrees of a volume are
turned to each other, whereas the third determines a volume but for its hand (Bandeira et al. 2023, "Estimation under
group actions").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int, Num
from torch import Tensor


@dataclass(frozen=True, slots=True)
class RingMoments:
    """Moments, or anything that has a number for each of their entries."""

    first: Float[Tensor, " k"]
    second: Num[Tensor, "n k k"]
    third: Num[Tensor, "p k k k"]

    def within(self, orders: int, rings: int) -> RingMoments:
        """The entries of orders up to ``orders`` on the first ``rings`` rings."""
        everywhere = order_pairs(len(self.second) - 1).tolist()
        kept = [number for number, pair in enumerate(everywhere) if sum(pair) <= orders]
        return RingMoments(
            self.first[:rings],
            self.second[: orders + 1, :rings, :rings],
            self.third[kept, :rings, :rings, :rings],
        )


def order_pairs(orders: int) -> Int[Tensor, "p 2"]:
    """Orders ``(a, b)`` of third moments, ``a >= b >= 0`` and ``a + b <= orders``."""
    pairs = [(a, b) for a in range(orders + 1) for b in range(min(a, orders - a) + 1)]
    return torch.tensor(pairs)


def multiplicity(pairs: Int[Tensor, "p 2"]) -> Float[Tensor, " p"]:
    """How often a product of three waves stands among the third moments, with rings exchanged."""
    a, b = pairs.unbind(1)
    twice = torch.where((b == 0) | (a == b), 2.0, 1.0)
    return torch.where(a == 0, 6.0, twice).double()


def weighted_moments(
    waves: Complex[Tensor, "q n k"], weights: Float[Tensor, " q"], mirrored: Float[Tensor, " q"] | None = None
) -> RingMoments:
    """Sums of the products of waves of q images under weights, and of those of their mirror images under others.

    An image's mirror image has the conjugate waves, turned in the plane, so that its products are the conjugates.
    """
    other = torch.zeros_like(weights) if mirrored is None else mirrored
    even, odd = weights + other, weights - other
    values = waves.movedim(0, -1).contiguous()
    both, third = _two_and_one(values)
    return RingMoments(
        (even * values[0].real).sum(-1),
        _sums(values, values, even, odd),
        _sums(both, third, even, odd).unflatten(1, (values.shape[1],) * 2),
    )


def square_moments(waves: Complex[Tensor, "q n k"]) -> RingMoments:
    """Sums of the squared magnitudes of the same products."""
    squares = (waves.real.square() + waves.imag.square()).movedim(0, -1).contiguous()
    both, third = _two_and_one(squares)
    return RingMoments(
        squares[0].sum(-1), squares @ squares.mT, (both @ third.mT).unflatten(1, (squares.shape[1],) * 2)
    )


def _two_and_one(values: Num[Tensor, "n k q"]) -> tuple[Num[Tensor, "p kk q"], Num[Tensor, "p k q"]]:
    """For every pair of orders: products of its two waves, and the wave of the order that they add up to."""
    a, b = order_pairs(len(values) - 1).to(values.device).unbind(1)
    return (values[a][:, :, None] * values[b][:, None]).flatten(1, 2), values[a + b]


def _sums(
    left: Complex[Tensor, "p j q"], right: Complex[Tensor, "p k q"], even: Float[Tensor, " q"], odd: Float[Tensor, " q"]
) -> Complex[Tensor, "p j k"]:
    """Sums of ``left conj right``, real parts under the weights ``even`` and imaginary ones under ``odd``."""
    weighted = torch.cat([even * right, 1j * odd * right], 1)
    real, imaginary = (_interleaved(left) @ _interleaved(weighted).mT).chunk(2, -1)
    return torch.complex(real, imaginary)


def _interleaved(values: Complex[Tensor, "p j q"]) -> Float[Tensor, "p j r"]:
    """Real and imaginary parts in turn: their product with those of another is the real part of ``left conj right``."""
    return torch.view_as_real(values).flatten(-2)
