"""Snapshots of the whole sum, kept a block, and the fields of descent that are variance-reduced against them.

A method of variance reduction steps along ``v = field_k(x) - field_k(x~) + field(x~)``: unbiased where the field is,
and exact at the snapshot ``x~`` (Johnson & Zhang 2013). The field is the gradient, or the residual ``x - Psi(x)`` of
expectation maximisation; with the residual, gradient descent is EM and SVRG is sEM-vr (Paul 2024, section 4.4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The sum at one point: its value, its field, and the field of every block."""

    x: Float[Tensor, "*shape"]
    value: Float[Tensor, ""]
    field: Float[Tensor, "*shape"]
    rows: Float[Tensor, " m *shape"]


@runtime_checkable
class Field(Protocol):
    """A field of descent of a finite sum."""

    def snapshot(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> Snapshot:
        """The field at ``x``, of all and of every block; one pass."""
        ...

    def at(self, blocks: Blocks, x: Float[Tensor, "*shape"], block: int) -> Float[Tensor, "*shape"]:
        """The field of one block at ``x``."""
        ...


@dataclass(frozen=True, slots=True)
class Gradient:
    """The gradient; the field of all is the mean over blocks."""

    def snapshot(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> Snapshot:
        """Value and gradient at ``x``."""
        evaluations = [blocks.evaluate(x, block) for block in range(blocks.count)]
        rows = torch.stack([each.field for each in evaluations])
        return Snapshot(x, torch.stack([each.value for each in evaluations]).mean(), rows.mean(0), rows)

    def at(self, blocks: Blocks, x: Float[Tensor, "*shape"], block: int) -> Float[Tensor, "*shape"]:
        """Gradient of one block."""
        return blocks.evaluate(x, block).field


@dataclass(frozen=True, slots=True)
class Residual:
    """The residual ``x - psi(x)`` of expectation maximisation; that of all is made of the summed statistics."""

    def snapshot(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> Snapshot:
        """Value and residual at ``x``."""
        expectations = [blocks.expect(x, block) for block in range(blocks.count)]
        rows = torch.stack([x - blocks.maximise(each.statistics) for each in expectations])
        total = torch.stack([each.statistics for each in expectations]).mean(0)
        return Snapshot(x, torch.stack([each.value for each in expectations]).mean(), x - blocks.maximise(total), rows)

    def at(self, blocks: Blocks, x: Float[Tensor, "*shape"], block: int) -> Float[Tensor, "*shape"]:
        """Residual of one block."""
        return x - blocks.maximise(blocks.expect(x, block).statistics)
