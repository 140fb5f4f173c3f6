"""Do the gains of variance reduction hold for volumes? The question that Paul (2024), section 4.6, leaves open.

The ribosome of `punjani2014.data`, images of unknown pose scored to one Fourier radius, a random start: thousands of
voxels, and poses by the ten thousand. Every method works on the same sum, some in coordinates in which the curvature is
flat (`whitened`), and those of EM on the statistics D and W. What is told is the number of passes over the
data until the likelihood has risen by a given part of the best rise of any method. Every method has the package's
defaults; nothing is tuned to the data or the seed. With few images the last parts of that rise are noise being fitted,
which the likelihood of images held out tells.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.seeds import generator_for
from cryorbit.inference.pose_quadrature import ShiftPrior, pose_quadrature
from cryorbit.optim.anderson import Anderson
from cryorbit.optim.em import EM
from cryorbit.optim.method import Method
from cryorbit.optim.sem_vr_statistics import SEMVRStatistics
from cryorbit.optim.sgd import SGD
from cryorbit.optim.stochastic_em import StochasticEM
from cryorbit.optim.stretches import Stretches
from cryorbit.optim.svrg import SVRG
from cryorbit.optim.svrg_quasi_newton import SVRGQuasiNewton
from cryorbit.recipes.optimise.problem import OptimiseProblem, make_problem
from cryorbit.studies.figures import save_png
from cryorbit.studies.kept import keep
from cryorbit.studies.paul2024.volumes.whitened import WhitenedOracle
from cryorbit.studies.punjani2014.data import BOX, DATA_SETS, simulate
from cryorbit.studies.registry import ReproduceConfig, choose_scale
from cryorbit.studies.tables import Row, write_table

PARTS = (0.5, 0.9, 0.99, 0.999)
"""Parts of the best rise of the likelihood."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the study is.

    Attributes
    ----------
    images, held_out
        That train, and that judge.
    radius
        That is scored, Fourier pixels.
    shift
        Density of shifts, pixels.
    undersampling
        Of the quadrature.
    seeds, passes, looks
        Starts and data; passes over the images a method has; looks at the likelihood a pass.
    """

    images: int
    held_out: int
    radius: float
    shift: ShiftPrior
    undersampling: float
    seeds: int
    passes: float
    looks: int


SCALES = {
    "quick": Scale(1000, 100, 5.0, ShiftPrior(0.0), 2.0, 1, 10.0, 1),
    "medium": Scale(2000, 200, 8.0, ShiftPrior(0.0), 1.5, 3, 30.0, 1),
    "full": Scale(2000, 200, 10.0, ShiftPrior(1.5), 1.5, 3, 60.0, 1),
}


@dataclass(frozen=True, slots=True)
class Rival:
    """A method, and whether it works in whitened coordinates."""

    name: str
    method: Method[Any]
    whitened: bool = False


RIVALS = (
    Rival("SGD", SGD()),
    Rival("SGD, preconditioned", SGD(), whitened=True),
    Rival("SVRG", SVRG()),
    Rival("SVRG, preconditioned", SVRG(), whitened=True),
    Rival("SVRG+II, preconditioned", SVRGQuasiNewton(batch_size=100), whitened=True),
    Rival("EM", EM()),
    Rival("EM, Anderson", Anderson()),
    Rival("stochastic EM", StochasticEM()),
    Rival("sEM-vr of statistics", SEMVRStatistics()),
)


@dataclass(frozen=True, slots=True)
class Course:
    """The course of a method.

    Attributes
    ----------
    rival, seed
        The method; the data and start.
    passes
        Evaluations of an image over the number of images.
    log_likelihood, held_out
        Of the images that train, with the prior, and of those held out: nats an image, relative to pure noise.
    """

    rival: Rival
    seed: int
    passes: Float[Tensor, " t"]
    log_likelihood: Float[Tensor, " t"]
    held_out: Float[Tensor, " t"]


def run(config: ReproduceConfig, progress: Progress) -> Sequence[Path]:
    """Run every method on every seed, and write tables and the figure; returns the files.

    Raises
    ------
    Stopped
        The run was asked to stop; what was done is kept, and tables are of the seeds that were done.
    """
    scale = choose_scale(SCALES, config)
    progress.start(len(RIVALS) * scale.seeds, "volumes")
    courses: list[Course] = []
    files: list[Path] = []
    for seed in range(config.seed, config.seed + scale.seeds):
        problem = set_up(scale, seed)
        flat, nodes = WhitenedOracle.of(problem.oracle), problem.oracle.model.quadrature.count
        for rival in RIVALS:
            if progress.stop_requested():
                raise Stopped
            work = partial(compete, rival, problem, flat, scale, seed, progress)
            points = keep(config.output, f"{rival.name} {seed}", (rival, scale, seed), work)
            courses.append(Course(rival, seed, *points.unbind(1)))
            progress.advance(passes=float(points[-1, 0]), log_likelihood=float(points[-1, 1]))
        files = write_results(courses, config.output, scale, nodes)
    return files


def set_up(scale: Scale, seed: int) -> OptimiseProblem:
    """The images of one seed, and the start."""
    data = replace(next(each for each in DATA_SETS if each.name == "ribosome"), radius=scale.radius, shift=scale.shift)
    observations, disc = simulate(data, scale.images + scale.held_out, generator_for(seed, "paul2024 images"))
    quadrature = pose_quadrature(scale.radius, BOX, scale.shift, scale.undersampling)
    return make_problem(observations, disc, quadrature, data.prior, scale.held_out, seed)


def compete(
    rival: Rival, problem: OptimiseProblem, flat: WhitenedOracle, scale: Scale, seed: int, progress: Progress
) -> Float[Tensor, "t 3"]:
    """Run one method for the passes it has: passes, and both likelihoods, at every look."""
    stretches = Stretches(flat if rival.whitened else problem.oracle, rival.method, seed, scale.looks)
    position = stretches.begin(flat.whitened(problem.start) if rival.whitened else problem.start)
    points = []
    while True:
        x = flat.coloured(position.x) if rival.whitened else position.x
        passes = position.evaluations / problem.oracle.num_terms
        here = -float(problem.oracle.value(x)), -float(problem.held_out.negative_log_likelihood(x))
        points.append((passes, *here))
        if passes >= scale.passes:
            break
        if progress.stop_requested():
            raise Stopped
        position = stretches.advance(position)
    return torch.tensor(points, dtype=torch.float64)


def passes_to(course: Course, level: float) -> float | None:
    """Passes after which the likelihood first was at a level; None if it never was."""
    there = torch.nonzero(course.log_likelihood >= level)
    return float(course.passes[there[0, 0]]) if len(there) else None


def summarise(courses: Sequence[Course]) -> list[Row]:
    """A row a method: median passes to each part of the best rise, and where the likelihoods end."""
    best = {course.seed: _best(courses, course.seed) for course in courses}
    return [_row([each for each in courses if each.rival.name == rival.name], best) for rival in RIVALS]


def _row(mine: Sequence[Course], best: Mapping[int, float]) -> Row:
    row: dict[str, object] = {"method": mine[0].rival.name}
    for part in PARTS:
        passes = [passes_to(each, _level(each, best[each.seed], part)) for each in mine]
        known = sorted(value for value in passes if value is not None)
        label = f"passes to {100 * part:g} %"
        row[label] = "" if len(known) <= len(passes) // 2 else f"{known[len(passes) // 2]:.1f}"
    row["nats below the best"] = (
        f"{statistics.median(best[each.seed] - float(each.log_likelihood[-1]) for each in mine):.3f}"
    )
    row["held out, nats"] = f"{statistics.median(float(each.held_out[-1]) for each in mine):.3f}"
    return row


def _level(course: Course, best: float, part: float) -> float:
    start = float(course.log_likelihood[0])
    return start + part * (best - start)


def _best(courses: Sequence[Course], seed: int) -> float:
    return max(float(each.log_likelihood.nan_to_num(nan=-torch.inf).max()) for each in courses if each.seed == seed)


def write_results(courses: Sequence[Course], output: Path, scale: Scale, nodes: int) -> list[Path]:
    """Write the table, all courses, and the figure of the first seed."""
    notes = [
        f"{scale.images:,} images scored to a radius of {scale.radius:g} Fourier pixels, {nodes:,} poses each; "
        f"{scale.held_out} more are held out. Median of {scale.seeds} seeds.",
        "Passes: evaluations of an image over their number. Parts are of the best rise of the likelihood by any.",
        "Preconditioned: in coordinates that divide every shell by the root of its mean weight W.",
        "Empty: not within the passes a method had, in half of the seeds.",
    ]
    points = [
        {"method": each.rival.name, "seed": each.seed, "passes": f"{passes:.2f}", **_likelihoods(value, other)}
        for each in courses
        for passes, value, other in torch.stack([each.passes, each.log_likelihood, each.held_out], 1).tolist()
    ]
    files = write_table(output / "courses", points, "All courses")
    files += write_table(output / "table", summarise(courses), "Variance reduction on volumes", notes)
    first = [each for each in courses if each.seed == courses[0].seed]
    files.append(save_png(draw_courses(first, _best(courses, courses[0].seed)), output / "figure.png"))
    return files


def _likelihoods(value: float, held_out: float) -> Row:
    return {"log_likelihood": f"{value:.5f}", "held_out": f"{held_out:.5f}"}


def draw_courses(courses: Sequence[Course], best: float) -> Figure:
    """Likelihood below the best of any method, against passes."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes, colours = figure.subplots(), matplotlib.colormaps["tab10"]
    for number, course in enumerate(courses):
        below = (best - course.log_likelihood).clamp_min(1e-4)
        style = "--" if course.rival.whitened else "-"
        axes.plot(course.passes, below, style, color=colours(number % 10), label=course.rival.name)
    axes.set(yscale="log", xlabel="passes over the data", ylabel="log-likelihood below the best, nats")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize=8, frameon=False)
    return figure
