"""Chapter 4 of Paul (2024): windowed multireference alignment (section 4.5.1), then cryo-EM (`cryoem`).

A Gaussian pulse of 16 samples and norm 1 is seen through a window of 12, under shifts from a mixture of two
Gaussians, 3,000 times with noise of standard deviation 0.2. Every method starts from the same random signal of norm 1
and the uniform density, and stops when the negative log-likelihood of two consecutive epochs differs by less than
1e-14. The widths of the pulse and of the density are not published; they were chosen by EM alone, whose number of
passes is near the published one. This makes figures 4.1 to 4.3 and tables 4.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.progress import Progress
from cryorbit.inference.mra import MRAOracle, start_unknown
from cryorbit.io.job_folder import JobFolder
from cryorbit.optim.minimise import Stop, Trace, minimise
from cryorbit.simulate.mra import draw_observations, gaussian_pulse, mixture_density
from cryorbit.studies.bench import Bench
from cryorbit.studies.figures import save_png
from cryorbit.studies.paul2024.ch4 import cryoem
from cryorbit.studies.paul2024.ch4.config import AlignmentSettings, Chapter4Config
from cryorbit.studies.paul2024.ch4.contenders import CONTENDERS, Contender
from cryorbit.studies.paul2024.ch4.figures import draw_convergence, draw_problem
from cryorbit.studies.paul2024.ch4.runs import Problem, Run
from cryorbit.studies.paul2024.ch4.summary import least_values, list_runs, seeds_of, summarise
from cryorbit.studies.result import StudyResult
from cryorbit.studies.tables import Table, write_table

LENGTH, WINDOW = 16, 12
PULSE = gaussian_pulse(LENGTH, 2.0)
DENSITY = mixture_density(LENGTH, (4.0, 11.0), 2.0)


def run(config: Chapter4Config, job: JobFolder, progress: Progress) -> StudyResult:
    """Run every method on every seed of both problems, and write tables and figures.

    Raises
    ------
    Stopped
        The job was asked to stop; the runs that are finished are kept.
    """
    bench = Bench(job, progress)
    run_alignment(config, bench)
    cryoem.run(config, bench)
    return bench.result


def run_alignment(config: Chapter4Config, bench: Bench) -> None:
    """The part on multireference alignment."""
    settings, seeds = config.alignment, config.seeds_of(config.alignment.seeds)
    bench.start(len(CONTENDERS) * len(seeds), "multireference alignment")
    problem, runs = Problem("alignment", settings, bench), list[Run]()
    write = partial(write_results, runs, bench.folder, settings)
    for seed in seeds:
        for contender in CONTENDERS:
            runs.append(problem.run_once(contender, seed, partial(solve, contender, seed, settings)))
            bench.show(write)
    bench.publish(write())


def solve(contender: Contender, seed: int, settings: AlignmentSettings) -> Trace:
    """Run one method on the data of one seed."""
    oracle, start = make_problem(seed, settings)
    stop = Stop(settings.tolerance, settings.passes)
    return minimise(oracle, contender.method, start, stop, torch.Generator().manual_seed(seed))


def make_problem(seed: int, settings: AlignmentSettings) -> tuple[MRAOracle, Float[Tensor, "2 n"]]:
    """The data of one seed, and the start."""
    generator = torch.Generator().manual_seed(seed)
    observed = draw_observations(PULSE, DENSITY, WINDOW, settings.sigma, settings.observations, generator)
    start = torch.randn(1, LENGTH, generator=generator, dtype=torch.float64)
    return MRAOracle.of(observed.data, LENGTH, settings.sigma), start_unknown(start / start.norm())


def write_results(runs: Sequence[Run], output: Path, settings: AlignmentSettings) -> list[Path]:
    """Write tables of the runs so far, and figures of those of the first seed."""
    least, first, seeds = least_values(runs), runs[0].seed, seeds_of(runs)
    tables = {
        "runs": Table("All runs", list_runs(runs, least), seeds),
        "table": Table("Paul 2024, tables 4.1 and 4.2", summarise(runs, least), seeds, _notes(seeds, settings)),
    }
    files = [file for name, table in tables.items() for file in write_table(output / name, table)]
    files.append(save_png(draw_problem(PULSE[0], DENSITY), output / "figure_4_1.png", []))
    for number in (2, 3):
        curves = [each for each in runs if each.seed == first and each.contender.figure == number]
        if curves:
            figure = draw_convergence(curves, least[first])
            files.append(save_png(figure, output / f"figure_4_{number}.png", [first]))
    return files


def _notes(seeds: Sequence[int], settings: AlignmentSettings) -> list[str]:
    return [
        f"Median (range) of {len(seeds)} seeds, each with its own data and start; no setting depends on the seed.",
        f"passes: cost-weighted epochs of {settings.observations:,} evaluations of an observation; "
        f"+ for more than {settings.passes:,.0f}.",
        "seconds: of the clock, including the evaluation of the objective at every epoch.",
        "elsewhere: converged, but not to the least objective that any method found on the same data.",
        "gap: median distance to that least objective where a method converged.",
        "safeguard: median number of its interventions (pairs, directions, step lengths, epochs); empty without one.",
        "As printed: secants, restarts and scales of the thesis, no safeguard; its step lengths are not published.",
    ]
