"""Figure of the agreement of independent runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cryorbit.io.job_result import CrossSeed
from cryorbit.report.look import INK

_DIAGONAL = "#eef1f4"


def draw_cross_seed(cross: CrossSeed) -> Figure:
    """Resolution to which the maps of every two seeds agree, and their correlation; darker is better."""
    figure = Figure(figsize=(6.4, 3.2))
    left, right = figure.subplots(1, 2)
    if cross.resolution_A:
        _draw_table(left, 1 / np.array(cross.resolution_A, dtype=float), cross.seeds, lambda x: f"{1 / x:.1f}")
    if cross.correlation:
        _draw_table(right, np.array(cross.correlation, dtype=float), cross.seeds, lambda x: f"{x:.2f}")
    left.set(title="agree to (Å)")
    right.set(title="correlation")
    return figure


def _draw_table(axes: Axes, values: Float[np.ndarray, "s s"], seeds: Sequence[int], write: Any) -> None:
    """Draw a square table, its values written into it; the diagonal says nothing and is left blank."""
    values = np.where(np.eye(len(values), dtype=bool), np.nan, values)
    top = max(float(np.nanmax(values)), 0.0) if np.isfinite(values).any() else 1.0
    axes.imshow(values, cmap="GnBu", vmin=0, vmax=1.25 * top or 1.0)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value > 0.9 * top else INK
            axes.text(column, row, write(value), ha="center", va="center", size=9, color=colour)
    axes.set_xticks(range(len(seeds)), [str(seed) for seed in seeds])
    axes.set_yticks(range(len(seeds)), [str(seed) for seed in seeds])
    axes.set(xlabel="seed", ylabel="seed", facecolor=_DIAGONAL)
    axes.grid(visible=False)
