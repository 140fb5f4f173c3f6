"""The comparison with poses integrated over a neighbourhood, which the paper leaves open.

Every image's pose is known but for an error of about half a step of a neighbourhood of 19 rotations and 9 shifts, over
which the likelihood is a mean. The Hessian now depends on the unknown and need not be positive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from cryorbit.core.data import Poses
from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.seeds import generator_for
from cryorbit.geometry.rotations import rotvec_to_matrix
from cryorbit.optim.armijo import Armijo
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.floors import PartOfGroupMean
from cryorbit.optim.method import Method
from cryorbit.optim.preconditioned_sgd import PreconditionedSGD
from cryorbit.optim.svrg import SVRG
from cryorbit.studies.tables import Row
from cryorbit.studies.toader2023.contenders import BATCHES, DESCENT, STEP
from cryorbit.studies.toader2023.courses import start_from
from cryorbit.studies.toader2023.data import DataSet
from cryorbit.studies.toader2023.local_poses import LocalPoses, Neighbourhood

SPACING_DEG, SHIFT_STEP = 4.0, 1.0
REFERENCE = "SVRG, weight volume"
"""Method that goes on for twice as many epochs; the least value it finds is what the others are held against."""


@dataclass(frozen=True, slots=True)
class MarginalCourse:
    """Objective and passes at the start and after every epoch."""

    name: str
    values: list[float]
    passes: list[float]


def problem_with_errors(data: DataSet, images: int, radius: float, seed: int) -> LocalPoses:
    """The images in poses with errors, each integrated over its neighbourhood."""
    generator = generator_for(seed, "toader2023 pose errors")
    angles = torch.deg2rad(SPACING_DEG / 4 * torch.randn(images, 3, generator=generator, dtype=torch.float64))
    shifts = SHIFT_STEP / 2 * torch.randn(images, 2, generator=generator, dtype=torch.float64)
    rotations = rotvec_to_matrix(angles) @ data.poses.rotations[:images]
    poses = Poses(rotations, data.poses.shifts[:images] + shifts)
    mistaken = DataSet(data.observations[:images], poses, data.disc, data.density)
    return LocalPoses.of(mistaken.problem(images, radius), Neighbourhood.of(SPACING_DEG, SHIFT_STEP))


def methods(problem: LocalPoses) -> Mapping[str, Method[Any]]:
    """The methods by name."""
    size = -(-problem.num_terms // BATCHES)
    by_shell = PartOfGroupMean(problem.ball.shells)
    return {
        "SGD, Armijo": Armijo(descent=DESCENT, batch_size=size),
        "probes on line, floor by shell": PreconditionedSGD(
            descent=DESCENT, longest=10.0, floor=by_shell, batch_size=size
        ),
        "weight volume": PreconditionedSGD("oracle", descent=DESCENT, longest=10.0, batch_size=size),
        "SVRG": SVRG(base="scalar", batch_size=size),
        REFERENCE: SVRG(step_size=STEP, batch_size=size),
    }


def epochs_of(name: str, epochs: int) -> int:
    """Epochs of a method: `REFERENCE` has twice as many as the others."""
    return 2 * epochs if name == REFERENCE else epochs


def pursue_marginal(
    problem: LocalPoses, method: Method[Any], epochs: int, seed: int, progress: Progress
) -> dict[str, list[float]]:
    """Run the epochs of one method: the fields of its `MarginalCourse` but for the name."""
    generator, x = generator_for(seed, "toader2023 marginal courses"), start_from(problem.known, seed)
    blocks = Blocks(problem, method.batch_size, generator)
    state = method.init(blocks, x)
    values, passes = [float(problem.evaluate(x, None).value)], [blocks.passes]
    for _ in range(epochs):
        if progress.stop_requested():
            raise Stopped
        order = torch.randperm(blocks.count, generator=generator).tolist()
        x, state = method.step(blocks, x, state, order, generator)
        values.append(float(problem.evaluate(x, None).value))
        passes.append(blocks.passes)
    return {"values": values, "passes": passes}


def list_courses(courses: Sequence[MarginalCourse], epochs: int) -> list[Row]:
    """A row a method: what is left of the gap at the start after each epoch, and the passes taken."""
    least = min(min(course.values) for course in courses)
    return [
        {
            "method": course.name,
            **{
                f"epoch {epoch}": f"{(course.values[epoch] - least) / (course.values[0] - least):.2e}"
                for epoch in range(1, epochs + 1)
            },
            "passes": f"{course.passes[epochs]:.1f}",
        }
        for course in courses
    ]
