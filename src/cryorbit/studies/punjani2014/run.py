"""Seven stochastic optimisers from one random start, Punjani & Brubaker (2014): figures 3, 4 and 6.

Two data sets (`data`), 100 images held out of each. Every method sees the images in the same order, from
the same sum of random spheres; what is compared is the negative log-likelihood of the held-out images against the
gradients of single images evaluated. Batch expectation maximisation and iterative projection matching go five
iterations from that start. Where the package has a method in two forms, as published and safeguarded, both run. The
paper tuned a learning rate for every method and set by hand; here rates are in units of the curvature of the data, the
same for both sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.evaluation.rigid_motion import move_map
from cryorbit.inference.pose_quadrature import pose_quadrature
from cryorbit.optim.stretches import Position, Stretches
from cryorbit.recipes.optimise.config import OptimiseConfig
from cryorbit.recipes.optimise.course import HeldOutPoint, measure, sum_for
from cryorbit.recipes.optimise.outputs import within_radius
from cryorbit.recipes.optimise.problem import OptimiseProblem, make_problem
from cryorbit.studies.figures import save_png
from cryorbit.studies.kept import keep
from cryorbit.studies.punjani2014.contenders import CONTENDERS, Contender, Run
from cryorbit.studies.punjani2014.data import BOX, DATA_SETS, PIXEL_SIZE, SMALL_BOX, DataSet, simulate
from cryorbit.studies.punjani2014.figures import draw_courses, draw_maps
from cryorbit.studies.punjani2014.summary import list_points, summarise
from cryorbit.studies.registry import ReproduceConfig, choose_scale
from cryorbit.studies.tables import write_table
from cryorbit.volumes.voxel import resample

HELD_OUT = 100
BATCH_ITERATIONS = 5.0
MARKS = (0.1, 1.0)
"""Epochs after which the map is kept."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of the paper is done.

    Attributes
    ----------
    images
        That train, of each data set.
    epochs
        Gradients to spend in units of the images, and looks at the held-out images in each.
    undersampling
        Of the quadrature.
    """

    images: int
    epochs: float
    looks: int
    undersampling: float


SCALES = {
    "quick": Scale(3000, 4.0, 5, 1.5),
    "medium": Scale(20_000, 10.0, 5, 2.0),
    "full": Scale(50_000, 10.0, 10, 1.0),
}


def run(config: ReproduceConfig, progress: Progress) -> Sequence[Path]:
    """Run every method on both data sets, and write tables and figures after each; returns the files.

    Raises
    ------
    Stopped
        The run was asked to stop; what was done is kept, and what is written is of the data sets that were done.
    """
    scale = choose_scale(SCALES, config)
    runs: list[Run] = []
    files: list[Path] = []
    for number, data in enumerate(DATA_SETS):
        progress.start(len(CONTENDERS), data.name)
        problem = set_up(data, scale, config.seed, number)
        for contender in CONTENDERS:
            if progress.stop_requested():
                raise Stopped
            work = partial(compete, contender, data, problem, scale, config.seed, progress)
            name, inputs = f"{data.name} {contender.label}", (contender, data.radius, data.shift, scale, config.seed)
            runs.append(run_of(contender, data, keep(config.output, name, inputs, work)))
            progress.advance(log_likelihood=-runs[-1].points[-1].held_out)
        files = write_results(runs, config.output, scale)
    return files


def set_up(data: DataSet, scale: Scale, seed: int, number: int) -> OptimiseProblem:
    """Simulate a data set and make the start."""
    observations, disc = simulate(data, scale.images + HELD_OUT, generator_for(seed, "punjani2014 images", number))
    quadrature = pose_quadrature(data.radius, BOX, data.shift, scale.undersampling)
    return make_problem(observations, disc, quadrature, data.prior, HELD_OUT, seed)


def compete(
    contender: Contender, data: DataSet, problem: OptimiseProblem, scale: Scale, seed: int, progress: Progress
) -> dict[str, Any]:
    """Run one method; the baselines go five iterations. The fields of its `Run`, points as a table."""
    method = OptimiseConfig.make_method(contender.method, contender.settings)
    stretches = Stretches(sum_for(contender.method, problem), method, seed, scale.looks)
    position = stretches.begin(problem.start)
    points = [measure(problem, position)]
    kept: dict[float, Position] = {}
    epochs = BATCH_ITERATIONS if contender.batch else scale.epochs
    while position.evaluations < epochs * problem.oracle.num_terms:
        before, position = position, stretches.advance(position)
        points.append(measure(problem, position, before))
        for mark in MARKS:
            if points[-1].epochs >= mark and mark not in kept:
                kept[mark] = position
        if progress.stop_requested():
            raise Stopped
    early, final = (kept.get(mark, position) for mark in MARKS)
    maps, fsc = against_truth(problem, data, [early, final])
    last, last_fsc = against_truth(problem, data, [position])
    return {
        "points": [asdict(each) for each in points],
        "maps": [*maps, *last],
        "fsc": [fsc, last_fsc],
        "nodes": problem.oracle.model.quadrature.count,
    }


def run_of(contender: Contender, data: DataSet, fields: Mapping[str, Any]) -> Run:
    """What `compete` found, as a `Run`."""
    return Run(contender, data, **{**fields, "points": [HeldOutPoint(**each) for each in fields["points"]]})


def against_truth(
    problem: OptimiseProblem, data: DataSet, positions: Sequence[Position]
) -> tuple[list[Float[Tensor, "n n n"]], Float[Tensor, " s"]]:
    """Densities moved as superposes the last of them on the truth; its correlation in the shells that are scored."""
    radius = data.radius
    densities = [resample(within_radius(problem.oracle.model.density(each.x), radius), SMALL_BOX) for each in positions]
    pixel_size = PIXEL_SIZE * BOX / SMALL_BOX
    comparison = compare_maps(densities[-1], within_radius(data.truth(), radius), pixel_size)
    motion = comparison.alignment
    shift = motion.shift_A / pixel_size
    moved = [move_map(each, motion.rotation, shift, mirrored=motion.hand_flipped) for each in densities[:-1]]
    return [*moved, motion.aligned], comparison.fsc.correlation[: int(radius) + 1]


def write_results(runs: Sequence[Run], output: Path, scale: Scale) -> list[Path]:
    """Write tables and figures of the runs so far."""
    notes = [
        f"{scale.images:,} images train, {HELD_OUT} are held out; nats are means over those, relative to pure noise.",
        "Poses summed over: "
        + "; ".join(f"{data.name} {_nodes(runs, data):,}" for data in DATA_SETS if _nodes(runs, data)),
        "gap: final value above the best of any method on that data set. The paper: all within two log units.",
        "resolved: shells, of those scored, before the correlation with the truth first falls below 0.5.",
        "The paper tuned a learning rate for each method and set by hand; here rates are the same for both sets.",
        "published: as in the paper and its sources, but for rates; safeguarded: the default here; only: one form.",
        "cosine: between steps and the negative gradients of their mini-batches, median over looks; 1 is SGD.",
        "pairs: secant pairs held at the end - refused. CG: iterations a step. damping: at the end, in units of L.",
        "Batch EM and projection matching go five iterations; in the paper neither had converged by then.",
    ]
    files = write_table(output / "courses", list_points(runs), "All courses")
    files += write_table(output / "table", summarise(runs), "Punjani & Brubaker 2014, figures 3, 4 and 6", notes)
    files.append(save_png(draw_courses(runs), output / "figure_3.png"))
    for data in dict.fromkeys(each.data.name for each in runs):
        mine = [each for each in runs if each.data.name == data]
        truth = within_radius(mine[0].data.truth(), mine[0].data.radius)
        files.append(save_png(draw_maps(mine, truth), output / f"figure_4_{data}.png"))
    return files


def _nodes(runs: Sequence[Run], data: DataSet) -> int:
    return next((each.nodes for each in runs if each.data == data), 0)
