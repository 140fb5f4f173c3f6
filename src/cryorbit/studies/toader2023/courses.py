"""Epochs of a method on known poses, and after each the distance from the minimum, cost, and correlations."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor

from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.optim.blocks import Blocks
from cryorbit.studies.toader2023.contenders import Contender
from cryorbit.studies.toader2023.posed_misfit import PosedMisfit
from cryorbit.studies.toader2023.posed_misfit_hessian import assemble_hessian, find_minimum, gap

EPOCHS = 10
LOOKS = (1, 3, 10)
"""Epochs after which correlations are computed."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """A problem with its Hessian and minimum, and the densities to compare with."""

    problem: PosedMisfit
    hessian: csr_array
    minimum: Float[Tensor, " d"]
    least: Float[Tensor, "n n n"]
    truth: Float[Tensor, "n n n"]

    @classmethod
    def of(cls, problem: PosedMisfit, truth: Float[Tensor, "n n n"]) -> Optimum:
        """Find the minimum."""
        hessian = assemble_hessian(problem)
        minimum = find_minimum(problem, hessian)
        return cls(problem, hessian, minimum, problem.ball.real_volume(minimum.float()), truth)

    def correlations(self, x: Float[Tensor, " d"]) -> tuple[Float[Tensor, " s"], Float[Tensor, " s"]]:
        """Correlations with the minimum and with the truth in the shells of the unknown."""
        density, count = self.problem.ball.real_volume(x), int(self.problem.ball.radius) + 1
        with_minimum, with_truth = (fourier_shell_correlation(density, other) for other in (self.least, self.truth))
        return with_minimum[:count], with_truth[:count]


@dataclass(frozen=True, slots=True)
class Course:
    """What a method did; entry 0 is the start, then one entry an epoch.

    Attributes
    ----------
    contender
        The method.
    gaps
        Objective above the minimum.
    seconds
        Processor time so far, without that of looking; the first entry is that of the diagonal, if one was made.
    passes
        Evaluations of an image over the number of images.
    correlations
        With the minimum and with the truth, after some epochs.
    """

    contender: Contender
    gaps: list[float]
    seconds: list[float]
    passes: list[float]
    correlations: Mapping[int, tuple[Float[Tensor, " s"], Float[Tensor, " s"]]]

    @property
    def left(self) -> float:
        """What is left of the gap at the start."""
        return self.gaps[-1] / self.gaps[0]

    @property
    def seconds_an_epoch(self) -> float:
        """Mean processor time of an epoch."""
        return (self.seconds[-1] - self.seconds[0]) / (len(self.seconds) - 1)


def start_from(problem: PosedMisfit, seed: int) -> Float[Tensor, " d"]:
    """Complex normal noise of variance one, as in the paper, of a real volume."""
    noise = torch.randn(problem.ball.dimension, generator=generator_for(seed, "toader2023 start"))
    return noise.to(problem.observations.power)


def pursue(contender: Contender, optimum: Optimum, seed: int, progress: Progress) -> dict[str, Any]:
    """Run the epochs of one method: the fields of its `Course`."""
    generator, x = generator_for(seed, "toader2023 courses"), start_from(optimum.problem, seed)
    began = time.process_time()
    problem, method = contender.choose(optimum.problem)
    blocks = Blocks(problem, method.batch_size, generator)
    state = method.init(blocks, x)
    gaps, seconds = [gap(optimum.hessian, x, optimum.minimum)], [time.process_time() - began]
    passes, correlations = [blocks.passes], {}
    for epoch in range(1, EPOCHS + 1):
        if progress.stop_requested():
            raise Stopped
        order = torch.randperm(blocks.count, generator=generator).tolist()
        began = time.process_time()
        x, state = method.step(blocks, x, state, order, generator)
        seconds.append(seconds[-1] + time.process_time() - began)
        gaps.append(gap(optimum.hessian, x, optimum.minimum))
        passes.append(blocks.passes)
        if epoch in LOOKS:
            correlations[epoch] = optimum.correlations(x)
    return {"gaps": gaps, "seconds": seconds, "passes": passes, "correlations": correlations}
