"""Chapter 4 of Paul (2024): windowed multireference alignment (section 4.5.1), then cryo-EM (`cryoem`).

A Gaussian pulse of 16 samples and norm 1 is seen through a window of 12, under shifts from a mixture of two
Gaussians, 3,000 times with noise of standard deviation 0.2. Every method starts from the same random signal of norm 1
and the uniform density, and stops when the negative log-likelihood of two consecutive epochs differs by less than
1e-14. The widths of the pulse and of the density are not published; they were chosen by EM alone, whose number of
passes is near the published one. This makes figures 4.1 to 4.3 and tables 4.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.progress import Progress
from cryorbit.inference.mra import MRAOracle, start_unknown
from cryorbit.optim.minimise import Stop, Trace, minimise
from cryorbit.simulate.mra import draw_observations, gaussian_pulse, mixture_density
from cryorbit.studies.figures import save_png
from cryorbit.studies.paul2024.ch4 import cryoem
from cryorbit.studies.paul2024.ch4.contenders import CONTENDERS, Contender
from cryorbit.studies.paul2024.ch4.figures import draw_convergence, draw_problem
from cryorbit.studies.paul2024.ch4.runs import Keeping, Run, run_once
from cryorbit.studies.paul2024.ch4.summary import least_values, list_runs, summarise
from cryorbit.studies.registry import ReproduceConfig, choose_scale
from cryorbit.studies.tables import write_table

LENGTH, WINDOW, COUNT, SIGMA = 16, 12, 3000, 0.2
PULSE = gaussian_pulse(LENGTH, 2.0)
DENSITY = mixture_density(LENGTH, (4.0, 11.0), 2.0)
TOLERANCE = 1e-14
SCALES = {"quick": (3, 1000.0), "full": (10, 5000.0)}
"""Seeds, and passes after which a method is given up."""


def run(config: ReproduceConfig, progress: Progress) -> Sequence[Path]:
    """Run every method on every seed, and write tables and figures; returns the files.

    Raises
    ------
    Stopped
        The run was asked to stop; what was done is kept, and tables are of the seeds that were done.
    """
    return [*run_alignment(config, progress), *cryoem.run(config, progress)]


def run_alignment(config: ReproduceConfig, progress: Progress) -> list[Path]:
    """The part on multireference alignment."""
    seeds, passes = choose_scale(SCALES, config)
    progress.start(len(CONTENDERS) * seeds, "multireference alignment")
    runs: list[Run] = []
    files: list[Path] = []
    for seed in range(config.seed, config.seed + seeds):
        runs += [solve(contender, seed, passes, config.output, progress) for contender in CONTENDERS]
        files = write_results(runs, config.output, passes)
    return files


def solve(contender: Contender, seed: int, passes: float, output: Path, progress: Progress) -> Run:
    """Run one method on the data of one seed."""

    def work() -> Trace:
        oracle, start = make_problem(seed)
        return minimise(oracle, contender.method, start, Stop(TOLERANCE, passes), torch.Generator().manual_seed(seed))

    return run_once(contender, seed, Keeping(output, "alignment", (passes, TOLERANCE)), work, progress)


def make_problem(seed: int) -> tuple[MRAOracle, Float[Tensor, "2 n"]]:
    """The data of one seed, and the start."""
    generator = torch.Generator().manual_seed(seed)
    observed = draw_observations(PULSE, DENSITY, WINDOW, SIGMA, COUNT, generator)
    start = torch.randn(1, LENGTH, generator=generator, dtype=torch.float64)
    return MRAOracle.of(observed.data, LENGTH, SIGMA), start_unknown(start / start.norm())


def write_results(runs: Sequence[Run], output: Path, passes: float) -> list[Path]:
    """Write tables of all runs, and figures of those of the first seed."""
    least, first = least_values(runs), runs[0].seed
    title = "Paul 2024, tables 4.1 and 4.2"
    files = write_table(output / "runs", list_runs(runs, least), "All runs")
    files += write_table(output / "table", summarise(runs, least), title, _notes(runs, passes))
    files.append(save_png(draw_problem(PULSE[0], DENSITY), output / "figure_4_1.png"))
    for number in (2, 3):
        curves = [each for each in runs if each.seed == first and each.contender.figure == number]
        files.append(save_png(draw_convergence(curves, least[first]), output / f"figure_4_{number}.png"))
    return files


def _notes(runs: Sequence[Run], passes: float) -> list[str]:
    seeds = len({each.seed for each in runs})
    return [
        f"Median (range) of {seeds} seeds, each with data and a start of its own; no setting depends on them.",
        f"passes: cost-weighted epochs of {COUNT:,} evaluations of an observation; + for more than {passes:,.0f}.",
        "seconds: wall clock, with the evaluation of the objective at every epoch.",
        "elsewhere: converged, but not to the least objective that any method found on the same data.",
        "gap: median distance to it where a method converged.",
        "safeguard: median number of interventions (pairs, directions, step lengths, epochs); empty without one.",
        "As printed: secants, restarts and scales of the thesis, no safeguard; its step lengths are not published.",
    ]
