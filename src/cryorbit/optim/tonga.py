"""TONGA: natural gradients with a low-rank covariance of recent gradients (Le Roux, Manzagol & Bengio 2008)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, NotNegative, Positive, Share
from cryorbit.optim.schedules import annealed
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness
from cryorbit.optim.strides import Strides


@dataclass(frozen=True, slots=True)
class TongaState:
    """Recent gradients, discounted, that span the covariance; smoothness at the start; steps and how they lay."""

    factors: Float[Tensor, " r *shape"]
    smoothness: Float[Tensor, ""]
    steps: int = 0
    strides: Strides = field(default_factory=Strides)


@dataclass(frozen=True, slots=True)
class Tonga(Checked):
    """``x <- x - eta_t d``, ``d = (weight C / m + I)^-1 g``; C is the covariance of discounted gradients, m its mean.

    C is kept with a low rank r, and m is its trace over r. That is the published ``(C + lambda I)^-1 g`` times lambda =
    m / weight: the regularisation follows the size of gradients, where the published is a constant tuned by hand, and
    eta keeps the unit that it has for plain ones. In the safeguarded form d is made as long as g, since steps are short
    where gradients agree: those directions are the damped ones.

    Attributes
    ----------
    step_size
        First eta in units of 1/L.
    rank
        Directions kept when the covariance is compressed, which happens every ``rank`` steps.
    discount
        Factor on the covariance a step.
    length
        That of a step: the "natural" direction's own, as published, or that of the plain "gradient".
    weight
        How much the directions in which gradients vary are damped: those of the mean variance by ``1 / (1 + weight)``.
    decay, power
        How steps become shorter: ``eta_t = eta_0 (1 + decay t)^-power``.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Positive = 1.0
    rank: Count = 20
    discount: Share = 0.995
    length: Literal["gradient", "natural"] = "gradient"
    weight: NotNegative = 1.0
    decay: NotNegative = 0.01
    power: NotNegative = 0.75
    batch_size: Count | None = 100
    unit_free: ClassVar[bool] = True

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> TongaState:
        """No gradient seen."""
        return TongaState(x.new_zeros(0, *x.shape), find_smoothness(blocks, x))

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: TongaState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], TongaState]:
        """A step a block."""
        del generator
        factors, strides = state.factors, state.strides
        for number, block in enumerate(order, start=state.steps):
            gradient = blocks.evaluate(x, block).field
            factors = torch.cat([self.discount**0.5 * factors, gradient[None]])
            if len(factors) >= 2 * self.rank:
                factors = compress(factors, self.rank)
            eta = self.step_size * annealed(number, self.decay, self.power) / state.smoothness
            step = -eta * self._direction(factors, gradient)
            x, strides = x + step, strides.with_step(step, gradient)
        return x, TongaState(factors, state.smoothness, state.steps + len(order), strides)

    def _direction(
        self, factors: Float[Tensor, " r *shape"], gradient: Float[Tensor, "*shape"]
    ) -> Float[Tensor, "*shape"]:
        """``(weight C / m + I)^-1 g`` by the Woodbury identity in the r directions, of the length asked for."""
        rows = factors.flatten(1)
        gram = self.weight * (rows @ rows.mT)
        mean = rows.square().sum() / len(rows)
        # all gradients were zero: there is no covariance to divide by
        if mean == 0:
            return gradient
        identity = torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
        inner = torch.linalg.solve(gram + mean * identity, self.weight * (rows @ gradient.flatten()))
        natural = gradient - (rows.mT @ inner).view_as(gradient)
        if self.length == "natural":
            return natural
        return natural * (gradient.norm() / natural.norm().clamp_min(torch.finfo(natural.dtype).tiny))


def compress(factors: Float[Tensor, " r *shape"], rank: int) -> Float[Tensor, " q *shape"]:
    """The ``rank`` factors whose covariance ``sum u u^T`` is nearest to that of all ``factors``."""
    rows = factors.flatten(1)
    values, vectors = torch.linalg.eigh(rows @ rows.mT)
    del values
    return (vectors[:, -rank:].mT @ rows).view(-1, *factors.shape[1:])
