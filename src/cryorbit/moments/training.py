"""Supervised training of encoders on generated pairs of moments and what they come from.

Examples of a step are drawn from a generator of that step, so that training that was interrupted goes on as if it had
not been, and no set of examples is stored: every example is seen once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryorbit.core.chunks import chunks
from cryorbit.core.seeds import generator_for
from cryorbit.moments.encoders import Target
from cryorbit.moments.learner import Learner
from cryorbit.moments.losses import ANY_SHIFT, shift_error
from cryorbit.moments.mixtures import Examples, draw_examples
from cryorbit.moments.rates import cosine_rate

TEST_CHUNK = 2000
PARTS = (1, ANY_SHIFT)
"""Parts of a sample by which shifts are tried: the thesis' whole samples, and any shift of the circle."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How to train.

    Attributes
    ----------
    components
        Gaussians in a mixture.
    steps, batch
        Steps, and new examples in each.
    rate, last_rate
        Learning rates of the first and the last step, joined by half a cosine.
    seed
        Of examples and weights.
    """

    components: int
    steps: int
    batch: int = 64
    rate: float = 3e-3
    last_rate: float = 1e-6
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        return cosine_rate(self.rate, self.last_rate, step / max(1, self.steps - 1))


def advance(learner: Learner[nn.Module], target: Target, length: int, schedule: Schedule) -> Float[Tensor, " 2"]:
    """Take one step on new examples that lowers both errors; returns their means before it."""
    generator = generator_for(schedule.seed, "train encoders", schedule.components, learner.step)
    examples = draw_examples(schedule.batch, schedule.components, length, generator)
    means = errors(learner.network, target, examples).mean(1)
    learner.descend(means.mean(), schedule.rate_at(learner.step))
    return means.detach()


def errors(encoder: nn.Module, target: Target, examples: Examples) -> Float[Tensor, "2 b"]:
    """Relative errors (equation 2.9) up to a shift by whole samples, and up to any shift."""
    examples = examples.to(next(encoder.parameters()).device)
    truth = examples.signals if target == "signal" else examples.densities
    predicted = encoder(examples.moments)
    return torch.stack([shift_error(predicted, truth, parts) for parts in PARTS])


@torch.no_grad()
def mean_errors(encoder: nn.Module, target: Target, schedule: Schedule, count: int, length: int) -> Float[Tensor, " 2"]:
    """Mean errors over ``count`` examples that training does not see; float64."""
    total = torch.zeros(2, dtype=torch.float64)
    for number, part in enumerate(chunks(count, TEST_CHUNK)):
        generator = generator_for(schedule.seed, "test encoders", schedule.components, number)
        examples = draw_examples(part.stop - part.start, schedule.components, length, generator)
        total += errors(encoder, target, examples).double().sum(1).cpu()
    return total / count
