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


def weighted_moments(waves: Complex[Tensor, "q n k"], weights: Float[Tensor, " q"]) -> RingMoments:
    """Sums of the products of waves of q images under weights."""
    weighted = weights[:, None, None] * waves
    first = weighted[:, 0].real.sum(0)
    second = torch.einsum("qnk,qnl->nkl", weighted, waves.conj())
    return RingMoments(first, second, _triples(weighted, waves, waves.conj()))


def square_moments(waves: Complex[Tensor, "q n k"]) -> RingMoments:
    """Sums of the squared magnitudes of the same products."""
    squares = waves.real.square() + waves.imag.square()
    return RingMoments(
        squares[:, 0].sum(0), torch.einsum("qnk,qnl->nkl", squares, squares), _triples(squares, squares, squares)
    )


def _triples(
    first: Num[Tensor, "q n k"], second: Num[Tensor, "q n k"], third: Num[Tensor, "q n k"]
) -> Num[Tensor, "p k k k"]:
    """Sums of products of three, the third of the order that the others add up to; a product of matrices."""
    a, b = order_pairs(first.shape[1] - 1).to(first.device).unbind(1)
    rings = first.shape[2]
    both = (first[:, a, :, None] * second[:, b, None, :]).flatten(2)
    return (both.permute(1, 2, 0) @ third[:, a + b].movedim(1, 0)).unflatten(1, (rings, rings))
