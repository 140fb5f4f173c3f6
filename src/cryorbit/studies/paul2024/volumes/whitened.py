"""A density seen in images of unknown pose, in coordinates in which the curvature of the data is nearly flat.

Poses that are spread evenly see the frequencies k of a volume about 1 / |k| times as often as its middle, times the
squared CTF: gradients are steep along coarse detail and shallow along fine. In coordinates y with ``x = S y``, S the
division of every shell of the transform by ``sqrt(W / max W + floor)``, plain gradient steps are those that divide by
the weights W of the M-step; so any method becomes a preconditioned one, without knowing of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.fourier.interpolation import join_mates
from cryorbit.fourier.shells import shell_indices, shell_sums
from cryorbit.inference.volume_oracle import Index, VolumeOracle
from cryorbit.optim.protocols import Evaluation

FLOOR = 0.02
"""Least weight of a shell, as a part of the largest: shells that few images tell of stay slow."""


@dataclass(frozen=True, slots=True)
class WhitenedOracle:
    """The same finite sum of the unknown ``y``; made by ``of``.

    Attributes
    ----------
    oracle
        The sum of ``x``.
    factor
        What S multiplies the half transform of y with.
    """

    oracle: VolumeOracle
    factor: Float[Tensor, "n n h"]

    @classmethod
    def of(cls, oracle: VolumeOracle, floor: float = FLOOR) -> WhitenedOracle:
        """Coordinates from the weights of evenly spread poses; one pass over the images."""
        grid, last = oracle.model.operator.grid, int(oracle.model.operator.disc.radius)
        nothing = torch.zeros((1, *(grid.size,) * 3)).to(oracle.observations.weight)
        # where nothing is known yet, all poses are as probable as the quadrature says
        weight = join_mates(oracle.expect(nothing, None).statistics[2])
        shells = grid.radius(weight).round().long().flatten()
        sums = shell_sums(torch.stack([weight.flatten(), torch.ones_like(weight).flatten()]), shells, last + 1)
        mean = sums[0] / sums[1]
        factor = (mean / mean[1:].max() + floor).rsqrt()
        # images have no origin, and nothing beyond the radius
        return cls(oracle, factor[shell_indices(grid.size).clamp(1, last).to(weight.device)])

    @property
    def num_terms(self) -> int:
        """Number of images."""
        return self.oracle.num_terms

    def evaluate(self, x: Float[Tensor, "1 n n n"], idx: Index) -> Evaluation:
        """Mean value and gradient with respect to ``y``."""
        evaluation = self.oracle.evaluate(self.coloured(x), idx)
        return Evaluation(evaluation.value, self.coloured(evaluation.field))

    def curvature(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, "1 n n n"]:
        """One everywhere, as of the sum of ``x``."""
        return self.oracle.curvature(x)

    def coloured(self, whitened: Float[Tensor, "1 n n n"]) -> Float[Tensor, "1 n n n"]:
        """``x = S y``; S is its own adjoint."""
        return _filtered(whitened, self.factor)

    def whitened(self, plain: Float[Tensor, "1 n n n"]) -> Float[Tensor, "1 n n n"]:
        """``y`` of an ``x``."""
        return _filtered(plain, self.factor.reciprocal())


def _filtered(volume: Float[Tensor, "1 n n n"], factor: Float[Tensor, "n n h"]) -> Float[Tensor, "1 n n n"]:
    dims = (-3, -2, -1)
    return torch.fft.irfftn(torch.fft.rfftn(volume, dim=dims) * factor, s=volume.shape[1:], dim=dims)
