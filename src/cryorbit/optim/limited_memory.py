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

    steps: Float[Tensor, " k *shape"]
    changes: Float[Tensor, " k *shape"]

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


@dataclass(frozen=True, slots=True)
class InverseHessian:
    """The inverse Hessian that a memory stands for, ready to be applied many times; made by ``of``.

    The compact form (Byrd, Nocedal & Schnabel 1994, equation 3.1), ``H v = B v + U K U* v`` with ``U = [S, B Y]`` and
    the adjoint taken in the inner product.
    """

    base: Float[Tensor, "*#shape"]
    metric: Float[Tensor, "*#shape"]
    vectors: Float[Tensor, "q d"]
    core: Float[Tensor, "q q"]

    @classmethod
    def of(cls, memory: Memory, base: Float[Tensor, "*#shape"], metric: Float[Tensor, "*#shape"]) -> InverseHessian:
        """Build it from secant pairs, which are used as they are, whatever their curvature.

        Parameters
        ----------
        memory
            Secant pairs.
        base
            Diagonal of the inverse Hessian without any pair.
        metric
            Weights of the inner product.
        """
        steps, changes = memory.steps.flatten(1), (base * memory.changes).flatten(1)
        products = steps @ (metric * memory.changes).flatten(1).mT
        inner = torch.diag(products.diagonal()) + changes @ (metric * memory.changes).flatten(1).mT
        right = torch.linalg.solve_triangular(products.triu(), torch.eye(len(steps)).to(steps), upper=True)
        top = torch.cat([right.mT @ inner @ right, -right.mT], 1)
        core = torch.cat([top, torch.cat([-right, torch.zeros_like(right)], 1)])
        return cls(base, metric, torch.cat([steps, changes]), core)

    def __call__(self, field: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The inverse Hessian times ``field``."""
        inner = self.vectors @ (self.metric * field).flatten()
        return self.base * field + (self.vectors.mT @ (self.core @ inner)).view_as(field)
