"""Do the gains of variance reduction hold for volumes? The question that Paul (2024), section 4.6, leaves open.

The ribosome of `punjani2014.data`, images of unknown pose scored to one Fourier radius, a random start: thousands of
voxels, and poses by the ten thousand. Every method works on the same sum, some in coordinates in which the curvature is
flat (`whitened`), and those of EM on the statistics D and W. The table lists the passes over the
data until the likelihood has risen by a given part of the best rise of any method. Every method has the package's
defaults; nothing is tuned to the data or the seed. With few images the last parts of that rise are noise being fitted,
which the likelihood of held-out images shows.
"""

from __future__ import annotations

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

from cryorbit.core.progress import Progress
from cryorbit.core.seeds import generator_for
from cryorbit.inference.pose_quadrature import ShiftPrior, pose_quadrature
from cryorbit.io.job_folder import JobFolder
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
from cryorbit.studies.bench import Bench
from cryorbit.studies.figures import save_png
from cryorbit.studies.paul2024.volumes.config import VolumesConfig
from cryorbit.studies.paul2024.volumes.whitened import WhitenedOracle
from cryorbit.studies.punjani2014.data import BOX, DATA_SETS, simulate
from cryorbit.studies.result import StudyResult
from cryorbit.studies.tables import Row, Table, median_and_range, name_seeds, write_table

PARTS = (0.5, 0.9, 0.99, 0.999)
"""Parts of the best rise of the likelihood."""


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


def run(config: VolumesConfig, job: JobFolder, progress: Progress) -> StudyResult:
    """Run every method on every seed, and write tables and the figure.

    Raises
    ------
    Stopped
        The job was asked to stop; the methods that are finished are kept.
    """
    bench, seeds = Bench(job, progress), range(config.seed, config.seed + config.seeds)
    bench.start(len(RIVALS) * len(seeds), "volumes")
    courses: list[Course] = []
    for seed in seeds:
        problem = set_up(config, seed)
        flat, nodes = WhitenedOracle.of(problem.oracle), problem.oracle.model.quadrature.count
        write = partial(write_results, courses, bench.folder, config, nodes)
        for rival in RIVALS:
            work = partial(compete, rival, problem, flat, config, seed, bench)
            points = bench.part(f"{rival.name} {seed}", (rival, *_inputs(config), seed), work, _numbers)
            courses.append(Course(rival, seed, *points.unbind(1)))
            bench.show(write)
    bench.publish(write())
    return bench.result


def _inputs(config: VolumesConfig) -> tuple[object, ...]:
    """Settings that the course of a method depends on."""
    problem = (config.images, config.held_out, config.radius, config.shift_sigma, config.undersampling)
    return (*problem, config.passes, config.looks)


def _numbers(points: Float[Tensor, "t 3"]) -> Mapping[str, float]:
    return {"passes": float(points[-1, 0]), "log_likelihood": float(points[-1, 1])}


def set_up(config: VolumesConfig, seed: int) -> OptimiseProblem:
    """The images of one seed, and the start."""
    shift = ShiftPrior(config.shift_sigma)
    data = replace(next(each for each in DATA_SETS if each.name == "ribosome"), radius=config.radius, shift=shift)
    count = config.images + config.held_out
    observations, disc = simulate(data, count, generator_for(seed, "paul2024 images"))
    quadrature = pose_quadrature(config.radius, BOX, shift, config.undersampling)
    return make_problem(observations, disc, quadrature, data.prior, config.held_out, seed)


def compete(
    rival: Rival, problem: OptimiseProblem, flat: WhitenedOracle, config: VolumesConfig, seed: int, bench: Bench
) -> Float[Tensor, "t 3"]:
    """Run one method for the passes it has: passes, and both likelihoods, at every look."""
    stretches = Stretches(flat if rival.whitened else problem.oracle, rival.method, seed, config.looks)
    position = stretches.begin(flat.whitened(problem.start) if rival.whitened else problem.start)
    points = []
    while True:
        x = flat.coloured(position.x) if rival.whitened else position.x
        passes = position.evaluations / problem.oracle.num_terms
        here = -float(problem.oracle.value(x)), -float(problem.held_out.negative_log_likelihood(x))
        points.append((passes, *here))
        if passes >= config.passes:
            break
        bench.stop_if_asked()
        position = stretches.advance(position)
    return torch.tensor(points, dtype=torch.float64)


def passes_to(course: Course, level: float) -> float | None:
    """Passes after which the likelihood first was at a level; None if it never was."""
    there = torch.nonzero(course.log_likelihood >= level)
    return float(course.passes[there[0, 0]]) if len(there) else None


def summarise(courses: Sequence[Course]) -> list[Row]:
    """A row a method that ran: passes to each part of the best rise, and where the likelihoods end."""
    best = {course.seed: _best(courses, course.seed) for course in courses}
    ran = dict.fromkeys(course.rival.name for course in courses)
    return [_row([each for each in courses if each.rival.name == name], best) for name in ran]


def _row(mine: Sequence[Course], best: Mapping[int, float]) -> Row:
    below = [best[each.seed] - float(each.log_likelihood[-1]) for each in mine]
    return {
        "method": mine[0].rival.name,
        **{f"passes to {100 * part:g} %": _passes(mine, best, part) for part in PARTS},
        "nats below the best": median_and_range(below, ".3f"),
        "held out, nats": median_and_range([float(each.held_out[-1]) for each in mine], ".3f"),
        **name_seeds(each.seed for each in mine),
    }


def _passes(mine: Sequence[Course], best: Mapping[int, float], part: float) -> str:
    """Passes to a part of the best rise, where most seeds have come to it; those that have not took more than any."""
    passes = [passes_to(each, _level(each, best[each.seed], part)) for each in mine]
    values = [float("inf") if value is None else value for value in passes]
    return "" if values.count(float("inf")) >= len(values) / 2 else median_and_range(values, ".1f")


def _level(course: Course, best: float, part: float) -> float:
    start = float(course.log_likelihood[0])
    return start + part * (best - start)


def _best(courses: Sequence[Course], seed: int) -> float:
    return max(float(each.log_likelihood.nan_to_num(nan=-torch.inf).max()) for each in courses if each.seed == seed)


def write_results(courses: Sequence[Course], output: Path, config: VolumesConfig, nodes: int) -> list[Path]:
    """Write the table, all courses, and the figure of the first seed."""
    seeds = list(dict.fromkeys(each.seed for each in courses))
    points = [
        {
            "method": each.rival.name,
            "passes": f"{passes:.2f}",
            **_likelihoods(value, other),
            **name_seeds([each.seed]),
        }
        for each in courses
        for passes, value, other in torch.stack([each.passes, each.log_likelihood, each.held_out], 1).tolist()
    ]
    files = write_table(output / "courses", Table("All courses", points, seeds))
    summary = Table("Variance reduction on volumes", summarise(courses), seeds, _notes(config, nodes))
    files += write_table(output / "table", summary)
    first = [each for each in courses if each.seed == seeds[0]]
    files.append(save_png(draw_courses(first, _best(courses, seeds[0])), output / "figure.png", seeds[:1]))
    return files


def _notes(config: VolumesConfig, nodes: int) -> list[str]:
    return [
        f"{config.images:,} images scored to a radius of {config.radius:g} Fourier pixels, {nodes:,} poses each; "
        f"{config.held_out} more are held out.",
        "Passes: evaluations of single images, divided by their number. Percentages are of the best rise of all.",
        "Preconditioned: in coordinates that divide every shell by the square root of its mean weight W.",
        "Empty: half of the seeds or more did not get there in the passes they had; inf: the slowest seed did not.",
    ]


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
