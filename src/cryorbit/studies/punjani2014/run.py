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
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from cryorbit.core.progress import Progress
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.evaluation.rigid_motion import move_map
from cryorbit.inference.pose_quadrature import pose_quadrature
from cryorbit.io.job_folder import JobFolder
from cryorbit.optim.stretches import Position, Stretches
from cryorbit.recipes.optimise.config import OptimiseConfig
from cryorbit.recipes.optimise.course import HeldOutPoint, measure, sum_for
from cryorbit.recipes.optimise.outputs import within_radius
from cryorbit.recipes.optimise.problem import OptimiseProblem, make_problem
from cryorbit.studies.bench import Bench
from cryorbit.studies.figures import save_png
from cryorbit.studies.punjani2014.config import Punjani2014Config
from cryorbit.studies.punjani2014.contenders import CONTENDERS, Contender, Run
from cryorbit.studies.punjani2014.data import BOX, DATA_SETS, PIXEL_SIZE, SMALL_BOX, DataSet, simulate
from cryorbit.studies.punjani2014.figures import draw_courses, draw_maps
from cryorbit.studies.punjani2014.summary import list_points, summarise
from cryorbit.studies.result import StudyResult
from cryorbit.studies.tables import Table, write_table
from cryorbit.volumes.voxel import resample

MARKS = (0.1, 1.0)
"""Epochs after which the map is kept."""


def run(config: Punjani2014Config, job: JobFolder, progress: Progress) -> StudyResult:
    """Run every method on both data sets, and write tables and figures.

    Raises
    ------
    Stopped
        The job was asked to stop; the methods that are finished are kept.
    """
    bench, runs = Bench(job, progress), list[Run]()
    write = partial(write_results, runs, bench.folder, config)
    for number, data in enumerate(scored(config)):
        bench.start(len(CONTENDERS), data.name)
        problem = set_up(data, config, number)
        for contender in CONTENDERS:
            work = partial(compete, contender, data, problem, config, bench)
            inputs = (contender, data.radius, data.shift, *_inputs(config))
            fields = bench.part(f"{data.name} {contender.label}", inputs, work, _numbers)
            runs.append(run_of(contender, data, fields))
            bench.show(write)
    bench.publish(write())
    return bench.result


def scored(config: Punjani2014Config) -> tuple[DataSet, ...]:
    """Both data sets with the radii at which they are scored."""
    radii = {"cylinder": config.cylinder_radius, "ribosome": config.ribosome_radius}
    return tuple(replace(data, radius=radii[data.name]) for data in DATA_SETS)


def _inputs(config: Punjani2014Config) -> tuple[object, ...]:
    """Settings that the course of a method depends on."""
    sizes = (config.images, config.held_out, config.undersampling)
    return (*sizes, config.epochs, config.batch_epochs, config.looks, config.seed)


def _numbers(fields: Mapping[str, Any]) -> Mapping[str, float]:
    return {"log_likelihood": -fields["points"][-1]["held_out"]}


def set_up(data: DataSet, config: Punjani2014Config, number: int) -> OptimiseProblem:
    """Simulate a data set and make the start."""
    count, generator = config.images + config.held_out, generator_for(config.seed, "punjani2014 images", number)
    observations, disc = simulate(data, count, generator)
    quadrature = pose_quadrature(data.radius, BOX, data.shift, config.undersampling)
    return make_problem(observations, disc, quadrature, data.prior, config.held_out, config.seed)


def compete(
    contender: Contender, data: DataSet, problem: OptimiseProblem, config: Punjani2014Config, bench: Bench
) -> dict[str, Any]:
    """Run one method; the baselines go over all images. The fields of its `Run`, points as a table."""
    method = OptimiseConfig.make_method(contender.method, contender.settings)
    stretches = Stretches(sum_for(contender.method, problem), method, config.seed, config.looks)
    position = stretches.begin(problem.start)
    points = [measure(problem, position)]
    kept: dict[float, Position] = {}
    epochs = config.batch_epochs if contender.batch else config.epochs
    while position.evaluations < epochs * problem.oracle.num_terms:
        before, position = position, stretches.advance(position)
        points.append(measure(problem, position, before))
        for mark in MARKS:
            if points[-1].epochs >= mark and mark not in kept:
                kept[mark] = position
        bench.stop_if_asked()
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


def write_results(runs: Sequence[Run], output: Path, config: Punjani2014Config) -> list[Path]:
    """Write tables and figures of the runs so far."""
    seeds = [config.seed]
    summary = Table("Punjani & Brubaker 2014, figures 3, 4 and 6", summarise(runs), seeds, _notes(runs, config))
    files = write_table(output / "courses", Table("All courses", list_points(runs), seeds))
    files += write_table(output / "table", summary)
    files.append(save_png(draw_courses(runs), output / "figure_3.png", seeds))
    for data in dict.fromkeys(each.data.name for each in runs):
        mine = [each for each in runs if each.data.name == data]
        truth = within_radius(mine[0].data.truth(), mine[0].data.radius)
        files.append(save_png(draw_maps(mine, truth), output / f"figure_4_{data}.png", seeds))
    return files


def _notes(runs: Sequence[Run], config: Punjani2014Config) -> list[str]:
    nodes = {each.data.name: each.nodes for each in runs}
    return [
        f"{config.images:,} images train, {config.held_out} are held out; values are their means in nats, relative to "
        "pure noise.",
        "Poses in the sum over poses: " + "; ".join(f"{name} {count:,}" for name, count in nodes.items()),
        "gap: final value minus the best of all methods on that data set. In the paper all are within two log units.",
        "resolved: number of scored shells before the correlation with the truth first falls below 0.5.",
        "The paper tuned a learning rate by hand for each method and data set; here rates are the same for both sets.",
        "published: as in the paper and its sources, except the rates; safeguarded: the default here; only: one form.",
        "cosine: of the angle between steps and the negative gradients of their mini-batches, median; 1 is SGD.",
        "pairs: secant pairs kept at the end - pairs refused. CG: iterations per step. damping: at the end, times L.",
        f"Batch EM and projection matching take {config.batch_epochs:g} iterations; in the paper neither had converged "
        "after five.",
    ]
