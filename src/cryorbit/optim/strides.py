"""How the steps of a method lie to the gradients that they were made from, added up step by step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Strides:
    """Sums over the steps so far.

    Attributes
    ----------
    steps
        Number of steps.
    cosines
        Of the angles between a step and the negative gradient of its mini-batch; that of a step of no length is 0.
    lengths
        Euclidean norms of the steps, in units of the unknown.
    """

    steps: int = 0
    cosines: float = 0.0
    lengths: float = 0.0

    def with_step(self, step: Float[Tensor, "*shape"], gradient: Float[Tensor, "*shape"]) -> Strides:
        """The sums with one more step, made from this gradient."""
        length = step.norm()
        product = (length * gradient.norm()).clamp_min(torch.finfo(step.dtype).tiny)
        cosine = -(step * gradient).sum() / product
        return Strides(self.steps + 1, self.cosines + float(cosine), self.lengths + float(length))
