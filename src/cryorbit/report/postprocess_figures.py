"""Figures of post-processing: Guinier plot, correlation by direction, local resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from cryorbit.report.curve_figures import label_by_resolution
from cryorbit.report.look import CLASS_COLOURS, FAINT, INK
from cryorbit.report.postprocess_results import PostprocessResults

_THRESHOLD = 0.143


def plan_postprocess(results: PostprocessResults) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Names of the figures that the job has data for, and what draws them."""
    if results.local is not None and results.mask is not None:
        yield "local_resolution", partial(draw_local_resolution, results.local, results.mask)
    if results.cones is not None:
        yield "conical_fsc", partial(draw_cones, results.cones)
    if results.guinier is not None:
        yield "guinier", partial(draw_guinier, results.guinier)


def draw_guinier(table: pd.DataFrame) -> Figure:
    """Logarithm of the amplitudes against the square of the frequency, and that of a protein that fades as fitted."""
    figure = Figure(figsize=(6.4, 2.8))
    axes = figure.subplots()
    square = table["inverse_square_per_A2"]
    fitted = table[table["fitted"]]
    axes.plot(square, table["log_amplitude"], color=CLASS_COLOURS[0], label="map, weighted")
    axes.plot(
        fitted["inverse_square_per_A2"],
        fitted["fit"],
        "--",
        color=CLASS_COLOURS[1],
        label="a protein with the B-factor fitted",
    )
    axes.set(xlabel="1 / resolution² (1/Å²)", ylabel="ln amplitude")
    axes.set_xlim(left=0)
    axes.legend(fontsize=8)
    return figure


def draw_cones(table: pd.DataFrame) -> Figure:
    """Spread over the directions of the correlation within cones."""
    figure = Figure(figsize=(6.4, 2.8))
    axes = figure.subplots()
    frequency, colour = table.iloc[:, 0], CLASS_COLOURS[0]
    axes.fill_between(frequency, table["lowest"], table["highest"], color=colour, alpha=0.15, lw=0, label="all")
    axes.fill_between(
        frequency, table["lower_tenth"], table["upper_tenth"], color=colour, alpha=0.3, lw=0, label="80 %"
    )
    axes.plot(frequency, table["median"], color=colour, label="median")
    axes.axhline(_THRESHOLD, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set(xlabel="resolution (Å)", ylabel="FSC within cones", ylim=(-0.1, 1.02))
    axes.set_xlim(left=0)
    label_by_resolution(axes)
    axes.legend(fontsize=8)
    return figure


def draw_local_resolution(local: Float[np.ndarray, "z y x"], mask: Float[np.ndarray, "z y x"]) -> Figure:
    """Central slices of the local resolution inside the mask, along z, y and x, and how often each value occurs."""
    figure = Figure(figsize=(6.4, 4.4))
    grid = figure.add_gridspec(2, 3, height_ratios=(1.2, 1))
    inside = np.where(mask > 0.5, local, np.nan)
    values = inside[np.isfinite(inside)]
    low, high = np.percentile(values, (1, 99))
    centre = local.shape[0] // 2
    slices = [figure.add_subplot(grid[0, axis]) for axis in range(3)]
    for axis, (axes, name) in enumerate(zip(slices, "zyx", strict=True)):
        picture = np.take(inside, centre, axis)
        image = axes.imshow(picture, origin="lower", cmap="turbo", vmin=low, vmax=high, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"along {name}", loc="center")
        axes.set_axis_off()
    figure.colorbar(image, ax=slices, shrink=0.8, label="Å")
    histogram = figure.add_subplot(grid[1, :])
    bins = np.linspace(low, max(high, low + 1e-3), 41).tolist()
    histogram.hist(values, bins=bins, color=INK, weights=np.full(len(values), 1 / len(values)))
    histogram.set(xlabel="local resolution (Å)", ylabel="part of the particle")
    return figure
