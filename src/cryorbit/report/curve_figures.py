"""Figures of curves: Fourier shell correlations and the course of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cryorbit.evaluation.fsc import FSCCurve, resolution_at
from cryorbit.report.look import CLASS_COLOURS, FAINT, class_colour
from cryorbit.report.results import ClassResult

_THRESHOLDS = (0.5, 0.143)
_LINES = ("-", "--", ":", "-.")
_OF_THE_CORRECTION = {"masked", "randomised"}
"""What the corrected curve is made of: shown of a single map only."""
_COURSES = {
    "resolution_A": "resolution (Å)",
    "log_likelihood": "log-likelihood (nats a particle)",
    "ess": "effective sample size of a pose",
}


def draw_fsc(classes: Sequence[ClassResult]) -> Figure:
    """Fourier shell correlations of all classes against spatial frequency."""
    figure = Figure(figsize=(6.4, 3.4))
    axes = figure.subplots()
    for result in classes:
        if result.fsc is None:
            continue
        frequency, *curves = result.fsc.columns
        if len(classes) > 1:
            curves = [curve for curve in curves if curve not in _OF_THE_CORRECTION]
        for curve, line in zip(curves, _LINES, strict=False):
            label = f"{result.entry.name}, {curve.replace('_', ' ')}" if len(curves) > 1 else result.entry.name
            colour = class_colour(result.number)
            axes.plot(result.fsc[frequency], result.fsc[curve], line, color=colour, label=label)
        _mark_crossing(axes, result)
    for threshold in _THRESHOLDS:
        axes.axhline(threshold, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.text(
            1.0, threshold, f" {threshold:g}", color=FAINT, size=8, va="center", transform=axes.get_yaxis_transform()
        )
    axes.set(ylim=(min(-0.05, axes.get_ylim()[0]), 1.02), xlabel="resolution (Å)", ylabel="Fourier shell correlation")
    axes.set_xlim(left=0)
    label_by_resolution(axes)
    axes.legend(fontsize=8)
    return figure


def _mark_crossing(axes: Axes, result: ClassResult) -> None:
    """Mark where the curve that gives the resolution falls to 0.143: the corrected one, if there is one."""
    assert result.fsc is not None
    name = "corrected" if "corrected" in result.fsc else result.fsc.columns[1]
    frequency, correlation = (torch.tensor(result.fsc[each].to_numpy(float)) for each in (result.fsc.columns[0], name))
    if not bool((correlation[1:] < _THRESHOLDS[1]).any()):
        return
    resolution = resolution_at(FSCCurve(frequency, correlation), _THRESHOLDS[1])
    colour = class_colour(result.number)
    axes.plot([1 / resolution], [_THRESHOLDS[1]], "o", color=colour, markersize=5)
    # neighbouring classes above and below the line
    offset = (6, 6 if result.number % 2 else -14)
    place = (1 / resolution, _THRESHOLDS[1])
    axes.annotate(f"{resolution:.1f} Å", place, offset, textcoords="offset points", color=colour, size=9)


def has_course(metrics: pd.DataFrame) -> bool:
    """Whether the iterations changed anything that ``draw_course`` shows."""
    return len(metrics) > 1 and any(name in metrics and bool(metrics[name].notna().any()) for name in _COURSES)


def draw_course(metrics: pd.DataFrame) -> Figure:
    """Resolution, log-likelihood, effective sample size and class shares over the iterations, a line a seed.

    Of an optimisation: the likelihood of the images held out against the gradients evaluated.
    """
    if "held_out" in metrics:
        return _draw_held_out(metrics)
    if "stage" in metrics:
        # held-out particles are scored at one resolution for all starts: that is not a step of the course
        metrics = metrics[metrics["stage"] != "judge"]
    panels = [name for name in _COURSES if name in metrics and metrics[name].notna().any()]
    shares = "class_fractions" in metrics and metrics["class_fractions"].dropna().map(len).max() > 1
    count = len(panels) + bool(shares)
    figure = Figure(figsize=(6.4, 2.3 * ((count + 1) // 2)))
    grid = figure.subplots((count + 1) // 2, 2, squeeze=False).flatten()
    for axes in grid[count:]:
        axes.set_visible(False)
    for axes, name in zip(grid, panels, strict=False):
        _draw_seeds(axes, metrics, name)
        axes.set(title=_COURSES[name], xlabel="iteration")
    if "resolution_A" in panels:
        grid[panels.index("resolution_A")].invert_yaxis()
    if "ess" in panels:
        grid[panels.index("ess")].set_yscale("log")
    if shares:
        _draw_shares(grid[count - 1], metrics)
    return figure


def _draw_held_out(metrics: pd.DataFrame) -> Figure:
    """Draw the log-likelihood of images held out against gradients of single images, and passes above."""
    figure = Figure(figsize=(6.4, 3.2))
    axes = figure.subplots()
    evaluations, passes = metrics["evaluations"].astype(float), metrics["epochs"].astype(float)
    axes.plot(evaluations, -metrics["held_out"].astype(float), marker="o", markersize=3, color=class_colour(1))
    axes.set(
        xlabel="gradients of single images",
        ylabel="held-out log-likelihood\n(nats an image above noise)",
        xlim=(0, None),
    )
    images = float((evaluations / passes).iloc[-1])
    above = axes.secondary_xaxis(
        "top", functions=(lambda count: np.divide(count, images), lambda epochs: np.multiply(epochs, images))
    )
    above.set_xlabel("passes over the images")
    return figure


def _draw_seeds(axes: Axes, metrics: pd.DataFrame, name: str) -> None:
    """Draw one number over the iterations, a line a seed."""
    seeds = metrics["seed"] if "seed" in metrics else pd.Series(0, index=metrics.index)
    groups = list(metrics.groupby(seeds))
    for order, (seed, rows) in enumerate(groups):
        colour = CLASS_COLOURS[order % len(CLASS_COLOURS)]
        axes.plot(
            np.arange(1, len(rows) + 1), rows[name].astype(float), color=colour, linewidth=1.1, label=f"seed {seed}"
        )
    if 1 < len(groups) <= 8:
        axes.legend(fontsize=7)


def _draw_shares(axes: Axes, metrics: pd.DataFrame) -> None:
    """Draw the class shares of the run that came last, stacked."""
    rows = last_run(metrics, "class_fractions")
    shares = np.array([row for row in rows["class_fractions"] if len(row) == len(rows["class_fractions"].iloc[-1])])
    colours = [class_colour(number + 1) for number in range(shares.shape[1])]
    axes.stackplot(np.arange(1, len(shares) + 1), shares.T, colors=colours, linewidth=0)
    axes.set(title="share of each class", xlabel="iteration", xlim=(1, max(len(shares), 2)), ylim=(0, 1))
    axes.grid(visible=False)


def last_run(metrics: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows that have ``name``, of the seed that came last."""
    rows = metrics[metrics[name].notna()]
    return rows[rows["seed"] == rows["seed"].iloc[-1]] if "seed" in rows else rows


def label_by_resolution(axes: Axes) -> None:
    """Write resolutions in A under an axis of spatial frequency."""
    ticks = [tick for tick in axes.get_xticks() if 0 < tick <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{1 / tick:.1f}" for tick in ticks])
