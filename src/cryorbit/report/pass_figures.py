"""Figures of passes over the particles: what their half-maps agreed on, and which particles changed class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from cryorbit.report.curve_figures import label_by_resolution, last_run
from cryorbit.report.look import FAINT, class_colour

_THRESHOLD = 0.143
_COLUMNS = 2
_PALE = "#c3ccd6"
_MOST_PASSES = 12
"""Passes between which the flow of particles is drawn: the last ones."""
_BAR = 0.12
"""Width of a class' bar, in passes."""


def has_pass_curves(metrics: pd.DataFrame) -> bool:
    """Whether more than one pass left the curve of its half-maps."""
    return "fsc" in metrics and int(metrics["fsc"].notna().sum()) > 1


def draw_pass_curves(metrics: pd.DataFrame) -> Figure:
    """Correlation of the half-maps after every pass, from pale to dark, a panel a class."""
    curves = list(last_run(metrics, "fsc")["fsc"])
    classes = len(curves[-1]["classes"])
    rows = -(-classes // _COLUMNS)
    figure = Figure(figsize=(6.4, 2.6 * rows))
    grid = figure.subplots(rows, min(classes, _COLUMNS), squeeze=False).flatten()
    for number, axes in enumerate(grid, start=1):
        axes.set_visible(number <= classes)
        if number <= classes:
            _draw_curves(axes, curves, number)
    return figure


def _draw_curves(axes: Axes, curves: Sequence[dict[str, Any]], number: int) -> None:
    """Draw the curves of one class over spatial frequency."""
    shades = LinearSegmentedColormap.from_list("passes", [_PALE, class_colour(number)])
    known = [(each["extent_A"], each["classes"][number - 1]) for each in curves if len(each["classes"]) >= number]
    for order, (extent, curve) in enumerate(known):
        place = order / max(len(known) - 1, 1)
        label = {0: "first pass", len(known) - 1: f"last pass, of {len(known)}"}.get(order)
        axes.plot(np.arange(len(curve)) / extent, curve, color=shades(place), linewidth=1.1, label=label)
    axes.axhline(_THRESHOLD, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set(xlim=(0, None), ylim=(-0.1, 1.02), xlabel="resolution (Å)", ylabel="Fourier shell correlation")
    axes.set_title(f"class {number}" if len(curves[-1]["classes"]) > 1 else "")
    label_by_resolution(axes)
    axes.legend(fontsize=7)


def has_class_flow(metrics: pd.DataFrame) -> bool:
    """Whether a pass counted the particles that changed class."""
    return "class_flow" in metrics and bool(metrics["class_flow"].notna().any())


def draw_class_flow(metrics: pd.DataFrame) -> Figure:
    """Particles of each class after every pass, stacked, and how many went from one class to another."""
    flows = [np.array(flow, float) for flow in metrics["class_flow"].dropna()][-_MOST_PASSES:]
    figure = Figure(figsize=(6.4, 3.2))
    axes = figure.subplots()
    counts = [flows[0].sum(1), *(flow.sum(0) for flow in flows)]
    for place, count in enumerate(counts):
        lower = 0.0
        for number, height in enumerate(count, start=1):
            axes.bar(place, height, _BAR, bottom=lower, color=class_colour(number), linewidth=0)
            lower += height
    for place, flow in enumerate(flows):
        _draw_bands(axes, place, flow)
    first = int(metrics["class_flow"].notna().sum()) - len(flows) + 1
    axes.set_xticks(range(len(counts)), [str(first + place) for place in range(len(counts))])
    axes.set(xlabel="pass", ylabel="particles", xlim=(-_BAR, len(flows) + _BAR), ylim=(0, counts[0].sum()))
    axes.grid(visible=False)
    return figure


def _draw_bands(axes: Axes, place: int, flow: Float[np.ndarray, "k k"]) -> None:
    """Draw a band for every pair of classes, from one pass to the next, as wide as the particles are many."""
    left, right = np.cumsum(flow.sum(1)) - flow.sum(1), np.cumsum(flow.sum(0)) - flow.sum(0)
    along = np.linspace(0, 1, 24)
    bend = along**2 * (3 - 2 * along)
    x = place + _BAR / 2 + (1 - _BAR) * along
    for source, target in np.ndindex(*flow.shape):
        lower = left[source] + bend * (right[target] - left[source])
        colour, alpha = class_colour(source + 1), 0.25 if source == target else 0.6
        axes.fill_between(x, lower, lower + flow[source, target], color=colour, alpha=alpha, linewidth=0)
        left[source] += flow[source, target]
        right[target] += flow[source, target]
