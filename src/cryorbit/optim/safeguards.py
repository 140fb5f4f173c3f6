"""One safeguard for all methods that learn curvature: what it refuses, and how often it did.

Three rules: a secant pair counts only if its curvature is clearly positive; a step is at most so many times the step
without learned curvature, and never uphill; and an epoch after which the objective has risen is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.ranges import Kept, Positive
from cryorbit.optim.settings import Checked

ROUNDING = 1e-13
"""Relative rise of the objective that is taken for rounding."""


@dataclass(frozen=True, slots=True)
class Interventions:
    """How often a safeguard stepped in.

    Attributes
    ----------
    pairs
        Secant pairs refused.
    uphill
        Directions replaced by the plain one, as they pointed uphill.
    caps
        Steps shortened.
    rises
        Epochs taken back.
    """

    pairs: int = 0
    uphill: int = 0
    caps: int = 0
    rises: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.pairs + self.uphill + self.caps + self.rises


@dataclass(frozen=True, slots=True)
class Safeguard(Checked):
    """Settings of the safeguard.

    Attributes
    ----------
    active
        Whether anything is refused at all.
    curvature
        Least cosine between the two vectors of a secant pair.
    cap
        Longest step, in lengths of the plain step.
    """

    active: bool = True
    curvature: Kept = 1e-6
    cap: Positive = 10.0

    def trusts(
        self, step: Float[Tensor, "*shape"], change: Float[Tensor, "*shape"], metric: Float[Tensor, "*#shape"]
    ) -> bool:
        """Whether a secant pair has clearly positive curvature in the inner product weighted by ``metric``."""
        if not self.active:
            return True
        lengths = norm(step, metric) * norm(change, metric)
        return bool((step * metric * change).sum() > self.curvature * lengths)

    def limit(
        self,
        direction: Float[Tensor, "*shape"],
        plain: Float[Tensor, "*shape"],
        metric: Float[Tensor, "*#shape"],
        count: Interventions,
    ) -> tuple[Float[Tensor, "*shape"], Interventions]:
        """The direction made to go downhill, and no further than the cap; the count of interventions.

        ``plain`` is the direction without learned curvature, ``metric`` the inner product in which it is the gradient.
        """
        if not self.active:
            return direction, count
        if (direction * metric * plain).sum() <= 0:
            return plain, replace(count, uphill=count.uphill + 1)
        longest, length = self.cap * norm(plain, metric), norm(direction, metric)
        if length > longest:
            return direction * (longest / length), replace(count, caps=count.caps + 1)
        return direction, count

    def refuses(self, value: Float[Tensor, ""], before: Float[Tensor, ""]) -> bool:
        """Whether the objective has risen by more than rounding, or is not a number."""
        return self.active and not bool(value <= before + ROUNDING * before.abs())


def norm(vector: Float[Tensor, "*shape"], metric: Float[Tensor, "*#shape"]) -> Float[Tensor, ""]:
    """Length in the inner product weighted by ``metric``."""
    return torch.sqrt((vector * metric * vector).sum())
