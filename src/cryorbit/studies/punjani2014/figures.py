"""Figures of Punjani & Brubaker (2014): courses of the held-out likelihood, and maps along them."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from cryorbit.studies.punjani2014.contenders import Run

STAGES = ("tenth of an epoch", "one epoch", "end")
LATE = 0.6
"""The right-hand figures show the last part of the courses, from this part of the gradients on."""


def draw_courses(runs: Sequence[Run]) -> Figure:
    """Held-out negative log-likelihood against gradients, a row a data set, the end enlarged (figure 3)."""
    names = list(dict.fromkeys(run.data.name for run in runs))
    figure = Figure(figsize=(10, 3.6 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), 2, squeeze=False)
    for name, (left, right) in zip(names, grid, strict=True):
        mine = [run for run in runs if run.data.name == name]
        _draw_lines(left, mine)
        _draw_lines(right, mine)
        left.set(title=name, ylabel="held-out nats an image")
        _enlarge_end(right, [run for run in mine if not run.contender.batch])
        right.set_title("the end")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    return figure


def draw_maps(runs: Sequence[Run], truth: Float[Tensor, "n n n"]) -> Figure:
    """Projections of the maps of all methods along their courses, the truth in the last row (figures 4 and 6)."""
    figure = Figure(figsize=(3.6, 1.25 * (len(runs) + 1)), layout="constrained")
    grid = figure.subplots(len(runs) + 1, len(STAGES), squeeze=False)
    for row, run in zip(grid[:-1], runs, strict=True):
        row[0].set_ylabel(run.contender.label, fontsize=7)
        for axes, density in zip(row, run.maps, strict=True):
            _draw_projection(axes, density, 1)
    grid[-1, 0].set_ylabel("truth", fontsize=7)
    for direction, axes in enumerate(grid[-1]):
        _draw_projection(axes, truth, direction)
    for axes, title in zip(grid[0], STAGES, strict=True):
        axes.set_title(title, fontsize=7)
    return figure


def _draw_lines(axes: Axes, runs: Sequence[Run]) -> None:
    colours = matplotlib.colormaps["tab20"]
    for number, run in enumerate(runs):
        axes.plot(
            [point.evaluations for point in run.points],
            [point.held_out for point in run.points],
            "--" if run.contender.batch else "-",
            color=colours(number % 20),
            label=run.contender.label,
            linewidth=1.2,
        )
    axes.set(xlabel="gradients of single images")
    axes.grid(alpha=0.3)


def _enlarge_end(axes: Axes, runs: Sequence[Run]) -> None:
    """Limits that hold the last parts of the courses."""
    last = max(run.points[-1].evaluations for run in runs)
    late = [point.held_out for run in runs for point in run.points if point.evaluations >= LATE * last]
    margin = 0.05 * (max(late) - min(late)) + 1e-3
    axes.set(xlim=(LATE * last, last), ylim=(min(late) - margin, max(late) + margin))


def _draw_projection(axes: Axes, density: Float[Tensor, "n n n"], direction: int) -> None:
    axes.imshow(density.sum(direction).numpy(), cmap="gray")
    axes.set(xticks=[], yticks=[])
