"""Inverse Hessians of limited memory (L-BFGS), in any weighted inner product.

With weights D, ``H`` is built by the BFGS formula with ``<a, b> = sum a D b`` in place of ``a^T b``. That is the
right formula for a map whose Jacobian is symmetric only in that product: the residual ``w - Psi(w)`` of expectation
maximisation has the Jacobian ``D^-1 F''``, with the complete-data information D.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Memory:
    """Secant pairs, oldest first: steps of the unknown and the changes of the field that they made."""

    steps: Float[Tensor, "k *shape"]
    changes: Float[Tensor, "k *shape"]

    @classmethod
    def empty(cls, x: Float[Tensor, "*shape"]) -> Memory:
        """No pairs for an unknown like ``x``."""
        return cls(x.new_zeros(0, *x.shape), x.new_zeros(0, *x.shape))

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.steps)

    def with_pair(self, step: Float[Tensor, "*shape"], change: Float[Tensor, "*shape"], size: int) -> Memory:
        """The newest ``size`` pairs with this one added."""
        steps = torch.cat([self.steps, step[None]])[-size:]
        return Memory(steps, torch.cat([self.changes, change[None]])[-size:])

    def positive(self, metric: Float[Tensor, "*#shape"]) -> Memory:
        """The pairs that have positive curvature in the inner product weighted by ``metric``."""
        kept = (self.steps * metric * self.changes).flatten(1).sum(1) > 0
        return Memory(self.steps[kept], self.changes[kept])


def apply_inverse(
    memory: Memory,
    field: Float[Tensor, "*shape"],
    base: Float[Tensor, "*#shape"] | float = 1.0,
    metric: Float[Tensor, "*#shape"] | float = 1.0,
) -> Float[Tensor, "*shape"]:
    """The inverse Hessian times ``field``, by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4).

    Parameters
    ----------
    memory
        Secant pairs; they are used as they are, whatever their curvature.
    field
        Vector to multiply.
    base
        Diagonal of the inverse Hessian without any pair.
    metric
        Weights of the inner product.
    """
    products = [(step * metric * change).sum() for step, change in zip(memory.steps, memory.changes, strict=True)]
    direction, weights = field, []
    for pair in reversed(range(len(memory))):
        weight = (memory.steps[pair] * metric * direction).sum() / products[pair]
        direction = direction - weight * memory.changes[pair]
        weights.append(weight)
    direction = direction * base
    for pair, weight in enumerate(reversed(weights)):
        correction = (memory.changes[pair] * metric * direction).sum() / products[pair]
        direction = direction + (weight - correction) * memory.steps[pair]
    return direction
