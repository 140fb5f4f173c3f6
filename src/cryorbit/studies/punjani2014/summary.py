"""Courses of many methods on the data sets of Punjani & Brubaker (2014), summed up in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from statistics import median

from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.conduct import Conduct
from cryorbit.studies.punjani2014.contenders import Run
from cryorbit.studies.tables import Row

STATEMENTS = {
    ("cylinder", "SGD"): "slows down in directions of low curvature",
    ("cylinder", "AdaGrad"): "slows down in directions of low curvature",
    ("cylinder", "CM"): "does well",
    ("cylinder", "NAG"): "does well",
    ("cylinder", "TONGA"): "does well",
    ("cylinder", "oLBFGS"): "no plateau, but two gradients a step",
    ("ribosome", "SGD"): "faster than oLBFGS and momentum",
    ("ribosome", "AdaGrad"): "faster than oLBFGS and momentum",
    ("ribosome", "TONGA"): "faster than oLBFGS and momentum",
}
"""What the paper says of a method on the data set that stands in this place."""
OF_ALL = {
    "HF": "not worth its gradients",
    "batch EM": "not converged after five iterations",
    "projection matching": "not converged after five iterations",
}
"""What it says of a method on both."""
RESOLVED = 0.5


def list_points(runs: Sequence[Run]) -> list[Row]:
    """A row a point of a course."""
    return [
        {
            "data": run.data.name,
            "method": run.contender.name,
            "form": run.contender.form,
            "gradients": point.evaluations,
            "epochs": f"{point.epochs:.3f}",
            "held-out nats": f"{point.held_out:.4f}",
            **{each.name: _shown(getattr(point, each.name)) for each in fields(Conduct)},
        }
        for run in runs
        for point in run.points
    ]


def summarise(runs: Sequence[Run]) -> list[Row]:
    """A row a method and data set, the paper's statement beside it."""
    rows: list[Row] = []
    for run in runs:
        least = min(each.points[-1].held_out for each in runs if each.data == run.data)
        shells = int(run.data.radius)
        last = run.points[-1]
        statement = STATEMENTS.get((run.data.name, run.contender.name), OF_ALL.get(run.contender.name, ""))
        rows.append(
            {
                "data": run.data.name,
                "method": run.contender.name,
                "form": run.contender.form,
                "gradients": last.evaluations,
                "start": f"{run.points[0].held_out:.2f}",
                "one epoch": f"{_at_epoch(run):.2f}",
                "end": f"{last.held_out:.2f}",
                "gap": f"{last.held_out - least:.2f}",
                "resolved, one epoch": f"{resolved(run.fsc[0])} of {shells}",
                "resolved, end": f"{resolved(run.fsc[1])} of {shells}",
                **_conduct(run),
                "the paper": statement,
            }
        )
    return rows


def resolved(fsc: Float[Tensor, " s"]) -> int:
    """Last shell before the correlation first falls below 0.5; shell 0, the mean, does not count."""
    below = (fsc[1:] < RESOLVED).nonzero().flatten()
    return len(fsc) - 1 if len(below) == 0 else int(below[0])


def _conduct(run: Run) -> Row:
    """What the method did over its course; empty cells where it has no such thing."""
    later, last = run.points[1:], run.points[-1]
    refused = [each.pairs_refused for each in later if each.pairs_refused is not None]
    return {
        "cosine": _shown(_median([each.cosine for each in later])),
        "pairs": "" if last.pairs is None else f"{last.pairs} - {sum(refused)}",
        "CG": _shown(_median([each.cg_iterations for each in later])),
        "damping": _shown(last.damping),
        "rank": _shown(last.rank),
    }


def _median(values: Sequence[float | None]) -> float | None:
    found = [each for each in values if each is not None]
    return median(found) if found else None


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _at_epoch(run: Run) -> float:
    """Held-out value when one epoch's worth of gradients was spent."""
    return next((point.held_out for point in run.points if point.epochs >= 1), run.points[-1].held_out)
