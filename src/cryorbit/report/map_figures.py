"""Figures of a map: its surface, central slices and projections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cryorbit.report.look import INK
from cryorbit.report.viewpoints import ALONG_AXES, Viewpoint, seen_from

Views = Sequence[Float[np.ndarray, "h w 4"]]
"""Shaded pictures of a surface from three viewpoints."""


def draw_map(
    volume: Float[np.ndarray, "z y x"], pixel_size: float, views: Views, viewpoints: Sequence[Viewpoint] = ALONG_AXES
) -> Figure:
    """Surface, central slices and projections of a map, a column for each viewpoint."""
    figure = Figure(figsize=(6.4, 6.6))
    grid = figure.subplots(3, 3)
    for column, viewpoint in enumerate(viewpoints):
        turned = seen_from(volume, viewpoint)
        _show(grid[0, column], views[column])
        _show(grid[1, column], turned[turned.shape[0] // 2])
        _show(grid[2, column], turned.sum(0))
        grid[0, column].set_title(viewpoint.name, loc="center")
    for row, label in enumerate(("surface", "central slice", "projection")):
        grid[row, 0].set_ylabel(label)
    _scale_bar(grid[2, 0], volume.shape[0], pixel_size)
    return figure


def draw_surfaces(views: Views) -> Figure:
    """The surface of a map alone, from three sides: the picture for a page or a slide."""
    figure = Figure(figsize=(9, 3.1))
    for axes, view in zip(figure.subplots(1, 3), views, strict=True):
        _show(axes, view)
    return figure


def draw_beside_truth(views: Views, truth_views: Views) -> Figure:
    """The surface of a map and, below, that of the truth it was superposed on, along z, y and x."""
    figure = Figure(figsize=(6.4, 4.4))
    grid = figure.subplots(2, 3)
    for row, (label, shown) in enumerate((("found", views), ("truth", truth_views))):
        for axes, view in zip(grid[row], shown, strict=True):
            _show(axes, view)
        grid[row, 0].set_ylabel(label)
    return figure


def _show(axes: Axes, picture: np.ndarray) -> None:
    """Show a picture with its first row at the bottom and without scales."""
    low, high = np.percentile(picture, (0.2, 99.8))
    axes.imshow(picture, cmap="gray", origin="lower", vmin=low, vmax=high, interpolation="bicubic")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _scale_bar(axes: Axes, box: int, pixel_size: float) -> None:
    """Draw a bar of a round length, about a quarter of the box, into a grey picture."""
    rough = box * pixel_size / 4
    unit = 10 ** np.floor(np.log10(rough))
    length = max(step * unit for step in (1, 2, 5) if step * unit <= rough)
    left, bottom = 0.06 * box, 0.07 * box
    axes.plot([left, left + length / pixel_size], [bottom, bottom], color="white", linewidth=3, solid_capstyle="butt")
    axes.text(left, bottom + 0.03 * box, f"{length:.0f} Å", color="white", size=8)
    axes.set(xlim=(-0.5, box - 0.5), ylim=(-0.5, box - 0.5), facecolor=INK)
