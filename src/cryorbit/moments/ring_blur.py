"""What shifts that were not undone do to moments on rings.

Normal shifts of standard deviation eta along each axis multiply a product of transforms at frequencies that add up to
K by ``exp(-eta^2 |K|^2 / 2)``. That mixes the orders of waves, so it is done on angles: waves are summed up on a grid
of angles between the frequencies, multiplied there, and taken apart again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.moments.ring_moments import RingMoments, order_pairs


@dataclass(frozen=True, slots=True)
class _Signed:
    """Which third moments of signed orders are those of some pairs ``(a, b)``, with places exchanged.

    Attributes
    ----------
    pairs
        Numbers of the pairs.
    places
        Where their orders ``(m, m')``, ``m' >= 0``, stand on the flattened transform of the grid of angles.
    signs
        -1 to the power a + b.
    axes
        Order in which the three rings of a pair become those of the product.
    conjugate
        Whether all orders change their sign.
    """

    pairs: Int[Tensor, " s"]
    places: Int[Tensor, " s"]
    signs: Float[Tensor, " s"]
    axes: tuple[int, int, int]
    conjugate: bool


@dataclass(frozen=True, slots=True)
class ShiftBlur:
    """Shifts acting on moments of orders up to L; made by ``of``.

    Attributes
    ----------
    orders
        Largest order L.
    frequencies, pair_squares, triple_squares
        ``|k|^2``, ``|k - k'|^2`` and ``|k + k' + k''|^2`` (radians a pixel) for rings and grids of angles.
    signed
        How third moments of signed orders are made of those of pairs.
    back
        Where the pairs stand on it.
    """

    orders: int
    frequencies: Float[Tensor, " k"]
    pair_squares: Float[Tensor, "k k a"]
    triple_squares: Float[Tensor, "k k k a a"]
    signed: tuple[_Signed, ...]
    back: _Signed

    @classmethod
    def of(cls, radii: Float[Tensor, " k"], orders: int) -> ShiftBlur:
        """For rings of these radii, radians a pixel."""
        # even, and enough for all sums of orders
        count = 3 * orders + 4 + orders % 2
        angles = torch.arange(count).to(radii) * (2 * torch.pi / count)
        around = radii[:, None, None] * torch.stack([angles.cos(), angles.sin()], -1)
        fixed = around[:, 0]
        apart = around[:, None] - fixed[None, :, None]
        pairs = around[:, None, :, None] + around[None, :, None, :]
        triples = pairs[:, :, None] + fixed[None, None, :, None, None]
        signed, back = _signed_orders(orders, count)
        return cls(orders, radii.square(), apart.square().sum(-1), triples.square().sum(-1), signed, back)

    def apply(self, moments: RingMoments, eta: Float[Tensor, ""]) -> RingMoments:
        """Moments under shifts of standard deviation ``eta``, pixels."""
        half = -0.5 * eta**2
        return RingMoments(
            moments.first * torch.exp(half * self.frequencies),
            self._second(moments.second, torch.exp(half * self.pair_squares)),
            self._third(moments.third, torch.exp(half * self.triple_squares)),
        )

    def _second(self, second: Complex[Tensor, "n k k"], factor: Float[Tensor, "k k a"]) -> Complex[Tensor, "n k k"]:
        between = second.new_zeros(factor.shape[-1] - 2 * self.orders - 1, *second.shape[1:])
        waves = torch.cat([second, between, second[1:].flip(0).conj()])
        blurred = torch.fft.fft(torch.fft.ifft(waves, dim=0) * factor.movedim(-1, 0), dim=0)
        return blurred[: self.orders + 1]

    def _third(
        self, third: Complex[Tensor, "p k k k"], factor: Float[Tensor, "k k k a a"]
    ) -> Complex[Tensor, "p k k k"]:
        rings, count = third.shape[1], factor.shape[-1]
        values = [
            (third[part.pairs].conj() if part.conjugate else third[part.pairs]).movedim(0, -1) * part.signs
            for part in self.signed
        ]
        placed = torch.cat([each.permute(*part.axes, 3) for each, part in zip(values, self.signed, strict=True)], 3)
        places = torch.cat([part.places for part in self.signed])
        half = count // 2 + 1
        grid = third.new_zeros(rings, rings, rings, count * half).index_copy(3, places, placed)
        seen = torch.fft.irfft2(grid.unflatten(3, (count, half)), s=(count, count))
        blurred = torch.fft.rfft2(seen * factor).flatten(3)
        return (blurred[..., self.back.places] * self.back.signs).movedim(-1, 0)


def _signed_orders(orders: int, count: int) -> tuple[tuple[_Signed, ...], _Signed]:
    """Orders ``(m, m', m'')`` of sum zero, ``m' >= 0``, sorted by how they are made of pairs, and the pairs themselves.

    The product of three transforms is real on the grid of angles, so that the other half of its transform is known.
    """
    half = count // 2 + 1
    pairs = [tuple(pair) for pair in order_pairs(orders).tolist()]
    entries_by_axes: dict[tuple[tuple[int, int, int], bool], list[tuple[int, int, int]]] = {}
    for m in range(-orders, orders + 1):
        for n in range(max(0, -orders - m), min(orders, orders - m) + 1):
            triple = (m, n, -m - n)
            conjugate = sum(each < 0 for each in triple) > 1
            turned = [-each for each in triple] if conjugate else list(triple)
            # the conjugated wave is the one of negative order; of two zeros the later one counts as negative
            last = min(range(3), key=lambda place: (turned[place], -place))
            large, small = sorted((place for place in range(3) if place != last), key=lambda place: -turned[place])
            axes = [0, 0, 0]
            for ring, place in enumerate((large, small, last)):
                axes[place] = ring
            pair = pairs.index((turned[large], turned[small]))
            entry = (pair, (m % count) * half + n, turned[last])
            entries_by_axes.setdefault(((axes[0], axes[1], axes[2]), conjugate), []).append(entry)
    signed = tuple(_collect(entries, axes, conjugate) for (axes, conjugate), entries in entries_by_axes.items())
    itself = [(number, a * half + b, a + b) for number, (a, b) in enumerate(pairs)]
    return signed, _collect(itself, (0, 1, 2), conjugate=False)


def _collect(entries: list[tuple[int, int, int]], axes: tuple[int, int, int], conjugate: bool) -> _Signed:
    pairs, places, order = torch.tensor(entries).unbind(1)
    return _Signed(pairs, places, torch.where(order % 2 == 0, 1.0, -1.0).double(), axes, conjugate)
