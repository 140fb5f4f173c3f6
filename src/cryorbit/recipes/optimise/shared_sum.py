"""The sum over images worked on by all processes of a job: a method does not know of them.

The images of an evaluation are taken in pieces, the same ones for any number of processes, and what the pieces say is
added in their order: the sum has the same bits whoever works on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.execution.group import Group
from cryorbit.inference.volume_oracle import VolumeOracle
from cryorbit.optim.protocols import Evaluation, Expectation

T = TypeVar("T")
Index = Int[Tensor, " b"] | None
MOST_PIECES = 8
SMALLEST_PIECE = 64
"""Images of a piece, at least: every piece takes the slices of the unknown anew."""


@dataclass(frozen=True, slots=True)
class SharedSum:
    """The sum of ``oracle``.

    Attributes
    ----------
    oracle
        The sum as one process works on it.
    group
        The processes.
    """

    oracle: VolumeOracle
    group: Group

    @property
    def num_terms(self) -> int:
        """Number of images."""
        return self.oracle.num_terms

    def evaluate(self, x: Float[Tensor, "1 n n n"], idx: Index) -> Evaluation:
        """Mean value and gradient."""
        parts = self._pieces(lambda piece: self.oracle.evaluate(x, piece), idx)
        return Evaluation(_mean([(w, e.value) for w, e in parts]), _mean([(w, e.field) for w, e in parts]))

    def expect(self, x: Float[Tensor, "1 n n n"], idx: Index) -> Expectation:
        """Mean value, and mean D and W."""
        parts = self._pieces(lambda piece: self.oracle.expect(x, piece), idx)
        return Expectation(_mean([(w, e.value) for w, e in parts]), _mean([(w, e.statistics) for w, e in parts]))

    def value(self, x: Float[Tensor, "1 n n n"], idx: Index = None) -> Float[Tensor, ""]:
        """Mean value alone."""
        return _mean(self._pieces(lambda piece: self.oracle.value(x, piece), idx))

    def hessian_vector(self, x: Float[Tensor, "1 n n n"], vector: Float[Tensor, "1 n n n"], idx: Index) -> Tensor:
        """Mean Hessian times ``vector``."""
        return _mean(self._pieces(lambda piece: self.oracle.hessian_vector(x, vector, piece), idx))

    def curvature(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, "1 n n n"]:
        """As `VolumeOracle.curvature`."""
        return self.oracle.curvature(x)

    def maximise(self, statistics: Float[Tensor, "3 q q h"]) -> Float[Tensor, "1 n n n"]:
        """As `VolumeOracle.maximise`."""
        return self.oracle.maximise(statistics)

    def admissible(self, statistics: Float[Tensor, "3 q q h"], reference: Float[Tensor, "3 q q h"]) -> Tensor:
        """As `VolumeOracle.admissible`."""
        return self.oracle.admissible(statistics, reference)

    def _pieces(self, work: Callable[[Int[Tensor, " p"]], T], idx: Index) -> list[tuple[float, T]]:
        """What ``work`` makes of each piece, with the part of the images that it is."""
        chosen = torch.arange(self.num_terms) if idx is None else idx
        pieces = chosen.tensor_split(min(MOST_PIECES, max(1, len(chosen) // SMALLEST_PIECE)))
        mine = [work(piece) for piece in pieces[self.group.rank :: self.group.size]]
        shares = self.group.gather(mine)
        return [
            (len(piece) / len(chosen), shares[number % self.group.size][number // self.group.size])
            for number, piece in enumerate(pieces)
        ]


def _mean(parts: list[tuple[float, Tensor]]) -> Tensor:
    """Sum of tensors by their weights, in order."""
    return reduce(torch.add, (weight * value for weight, value in parts))
