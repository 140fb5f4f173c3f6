"""Hessian-free optimisation: truncated Newton steps by conjugate gradients on mini-batches (Martens 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.ranges import Count, Kept, NotNegative, Positive
from cryorbit.optim.safeguards import Interventions, Safeguard
from cryorbit.optim.schedules import annealed
from cryorbit.optim.settings import Checked
from cryorbit.optim.smoothness import find_smoothness
from cryorbit.optim.strides import Strides


@dataclass(frozen=True, slots=True)
class HessianFreeState:
    """Damping of the next step, smoothness at the start, steps and iterations, what was shortened, how steps lay."""

    damping: Float[Tensor, ""]
    smoothness: Float[Tensor, ""]
    steps: int = 0
    iterations: int = 0
    interventions: Interventions = field(default_factory=Interventions)
    strides: Strides = field(default_factory=Strides)


@dataclass(frozen=True, slots=True)
class HessianFree(Checked):
    """``x <- x + p`` with ``(H + d I) p = -g`` solved approximately, if that descends; d by the rule of Levenberg.

    A mini-batch's Hessian is that of its own noise, too, and undecided poses make curvature negative without bound. In
    the safeguarded form d is therefore never below a value that grows as steps of other methods shrink, and no step is
    longer than so many times ``|g| / d``. As published, `floor` is 0, the safeguard inactive, and `products` are
    "differences"; the paper tuned d by hand, here it adapts in both forms. Where even the damped curvature is negative
    the iterations end; if it is so along the gradient, there is no step, and d grows.

    Attributes
    ----------
    iterations
        Of conjugate gradients a step, at most.
    tolerance
        Part of the gradient that the solution may leave; 0: all iterations are made.
    damping
        First d, in units of L.
    floor
        Least d at first, in units of L; 0 for none.
    decay, power
        How the least d grows: ``(1 + decay t)^power``.
    products
        Of the Hessian with a vector: "exact" where the sum has them, or central "differences" of gradients.
    safeguard
        How long a step may be; inactive as published.
    batch_size
        Terms in a mini-batch.
    """

    iterations: Count = 5
    tolerance: Kept = 0.0
    damping: Positive = 1.0
    floor: NotNegative = 1.0
    decay: NotNegative = 0.01
    power: NotNegative = 0.75
    products: Literal["exact", "differences"] = "exact"
    safeguard: Safeguard = field(default_factory=Safeguard)
    batch_size: Count | None = 300

    def init(self, blocks: Blocks, x: Float[Tensor, "*shape"]) -> HessianFreeState:
        """Find the scale of the damping."""
        smoothness = find_smoothness(blocks, x)
        return HessianFreeState(self.damping * smoothness, smoothness)

    def step(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        state: HessianFreeState,
        order: Sequence[int],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "*shape"], HessianFreeState]:
        """A step a block."""
        del generator
        for block in order:
            x, state = self._one(blocks, x, state, block)
        return x, state

    def _one(
        self, blocks: Blocks, x: Float[Tensor, "*shape"], state: HessianFreeState, block: int
    ) -> tuple[Float[Tensor, "*shape"], HessianFreeState]:
        here = blocks.evaluate(x, block)
        step, product, iterations = self._solve(blocks, x, here.field, state.damping, block)
        longest, length, count = (
            self.safeguard.cap * here.field.norm() / state.damping,
            step.norm(),
            state.interventions,
        )
        if self.safeguard.active and length > longest:
            step, product = step * (longest / length), product * (longest / length)
            count = replace(count, caps=count.caps + 1)
        predicted = (here.field * step).sum() + 0.5 * (step * product).sum()
        actual = blocks.evaluate(x + step, block).value - here.value
        # a model that foresees no fall is no measure of what came: the step counts as a bad one
        ratio = actual / predicted if predicted < 0 else torch.zeros_like(predicted)
        # thresholds and factors of Martens (2010); a ratio that is no number counts as a bad one
        trusted = state.damping * (1.5 if not ratio >= 0.25 else 2 / 3 if ratio > 0.75 else 1.0)
        least = self.floor / annealed(state.steps, self.decay, self.power) * state.smoothness
        made = step if actual < 0 else torch.zeros_like(step)
        following = HessianFreeState(
            torch.maximum(trusted, least),
            state.smoothness,
            state.steps + 1,
            state.iterations + iterations,
            count,
            state.strides.with_step(made, here.field),
        )
        return x + made, following

    def _solve(
        self,
        blocks: Blocks,
        x: Float[Tensor, "*shape"],
        gradient: Float[Tensor, "*shape"],
        damping: Float[Tensor, ""],
        block: int,
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"], int]:
        """The step after some iterations of conjugate gradients, the undamped Hessian times it, and their number.

        Ends early where little is left, and at a direction of negative damped curvature.
        """
        step, product, number = torch.zeros_like(gradient), torch.zeros_like(gradient), 0
        residual = -gradient
        search, squared = residual, (residual**2).sum()
        enough = self.tolerance**2 * squared
        multiply = blocks.hessian_vector if self.products == "exact" else blocks.hessian_difference
        while number < self.iterations and squared > enough:
            image, number = multiply(x, search, block), number + 1
            damped = damping * (search**2).sum() + (search * image).sum()
            if damped <= 0:
                break
            length = squared / damped
            step, product = step + length * search, product + length * image
            residual = residual - length * (image + damping * search)
            before, squared = squared, (residual**2).sum()
            search = residual + squared / before * search
        return step, product, number
