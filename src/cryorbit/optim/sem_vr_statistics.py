"""sEM-vr in the space of sufficient statistics (Chen, Zhu, Teh & Zhang 2018).

Variance is reduced where expectations are linear: numerators and denominators of the M-step are averaged apart, so
that a mini-batch may be small and its M-step undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, Share
from cryorbit.optim.safeguards import Interventions, Safeguard
from cryorbit.optim.settings import Checked

SHORTER = 0.25
"""Part of rho that an epoch which was taken back leaves."""


@dataclass(frozen=True, slots=True)
class StatisticsSnapshot:
    """E-step of the whole sum at one point: the point, the value, and the statistics of all and of every block."""

    x: Float[Tensor, "*shape"]
    value: Float[Tensor, ""]
    statistics: Float[Tensor, "*stats"]
    rows: Float[Tensor, " m *stats"]


@dataclass(frozen=True, slots=True)
class StatisticsState:
    """The last snapshot that was not taken back, the part of rho that is left, and what the safeguard did."""

    snapshot: StatisticsSnapshot | None = None
    part: float = 1.0
    interventions: Interventions = field(default_factory=Interventions)


@dataclass(frozen=True, slots=True)
class SEMVRStatistics(Checked):
    """``S <- (1 - rho) S + rho (s_k(x) - s_k(x~) + s(x~))``, ``x <- argmax Q(S)``.

    Attributes
    ----------
    step_size
        rho.
    safeguard
        Whether an epoch that raises the objective is taken back, and a step of EM made in its place; rho is a quarter
        from then on.
    batch_size
        Terms in a mini-batch.
    """

    step_size: Share = 1.0
    safeguard: Safeguard = field(default_factory=Safeguard)
    batch_size: Count | None = 100
    unit_free: ClassVar[bool] = True

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> StatisticsState:
        """No snapshot."""
        del blocks, x
        return StatisticsState()

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: StatisticsState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], StatisticsState]:
        """An epoch: one pass for the snapshot, then a step a block."""
        del generator
        new, old, count = take_snapshot(blocks, x), state.snapshot, state.interventions
        if old is not None and self.safeguard.refuses(new.value, old.value):
            count = replace(count, rises=count.rises + 1)
            return blocks.maximise(old.statistics), StatisticsState(old, state.part * SHORTER, count)
        total = new.statistics
        for block in order:
            fresh = blocks.expect(x, block).statistics - new.rows[block] + new.statistics
            total = total + state.part * self.step_size * (fresh - total)
            # a difference of mini-batches may take more weight off than there is
            x = blocks.maximise(blocks.admissible(total, new.statistics))
        return x, StatisticsState(new, state.part, count)


def take_snapshot(blocks: Blocks, x: Float[Tensor, "*shape"]) -> StatisticsSnapshot:
    """The E-step at ``x``, block by block; one pass."""
    expectations = [blocks.expect(x, block) for block in range(blocks.count)]
    rows = torch.stack([each.statistics for each in expectations])
    return StatisticsSnapshot(x, torch.stack([each.value for each in expectations]).mean(), rows.mean(0), rows)
