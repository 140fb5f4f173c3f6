"""Runs of many methods on many seeds, summed up in rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from cryorbit.studies.paul2024.ch4.runs import Run
from cryorbit.studies.tables import Row, name_seeds

SAME_OPTIMUM = 1e-8
"""Gap to the least objective of any method above which a method has ended elsewhere."""


def seeds_of(runs: Sequence[Run]) -> list[int]:
    """Seeds of the runs, each once."""
    return list(dict.fromkeys(run.seed for run in runs))


def least_values(runs: Sequence[Run]) -> dict[int, float]:
    """Least objective that any method found, a seed."""
    return {run.seed: min(other.least for other in runs if other.seed == run.seed) for run in runs}


def list_runs(runs: Sequence[Run], least: Mapping[int, float]) -> list[Row]:
    """A row a run."""
    return [
        {
            "method": run.contender.name,
            "ending": run.trace.ending,
            "passes": f"{run.trace.passes[-1].item():.1f}",
            "seconds": f"{run.trace.seconds[-1].item():.3f}",
            "gap": f"{run.trace.values[-1].item() - least[run.seed]:.2e}",
            **_interventions(run),
            **name_seeds([run.seed]),
        }
        for run in runs
    ]


def summarise(runs: Sequence[Run], least: Mapping[int, float]) -> list[Row]:
    """A row a method, in the order in which they ran: the published numbers and the measured ones."""
    contenders = dict.fromkeys(run.contender.name for run in runs)
    return [_summary([run for run in runs if run.contender.name == name], least) for name in contenders]


def _summary(runs: Sequence[Run], least: Mapping[int, float]) -> Row:
    contender = runs[0].contender
    gaps = [run.trace.values[-1].item() - least[run.seed] for run in runs if run.converged]
    counts = [run.trace.interventions.total for run in runs if run.trace.interventions is not None]
    return {
        "method": contender.name,
        "published passes": contender.published_passes,
        "passes": _spread(runs, lambda run: run.trace.passes[-1].item(), ",.0f"),
        "published seconds": contender.published_seconds,
        "seconds": _spread(runs, lambda run: run.trace.seconds[-1].item(), ".2f"),
        "converged": f"{len(gaps)} of {len(runs)}",
        "diverged": sum(run.trace.ending == "diverged" for run in runs),
        "elsewhere": sum(gap > SAME_OPTIMUM for gap in gaps),
        "gap": f"{statistics.median(gaps):.0e}" if gaps else "",
        "safeguard": f"{statistics.median(counts):.0f}" if counts else "",
        **name_seeds(seeds_of(runs)),
    }


def _spread(runs: Sequence[Run], cost: Callable[[Run], float], form: str) -> str:
    """Median and range of what a run costs; a run that did not converge costs more than any that did, marked ``+``."""
    costs = sorted((not run.converged, cost(run)) for run in runs)
    middle, ends = costs[len(costs) // 2], (costs[0], costs[-1])
    if all(run.trace.ending == "diverged" for run in runs):
        return "diverges"
    shown = [f"{value:{form}}{'+' if unfinished else ''}" for unfinished, value in (middle, *ends)]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def _interventions(run: Run) -> dict[str, object]:
    interventions = run.trace.interventions
    names = ("pairs", "uphill", "caps", "rises")
    return {name: "" if interventions is None else getattr(interventions, name) for name in names}
