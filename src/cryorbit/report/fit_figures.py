"""Figure of particles beside the projections of their map."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cryorbit.report.fitted_images import FittedImages
from cryorbit.report.look import class_colour

_COLUMNS = 6
_ROWS = ("image", "projection", "residual")


def draw_fitted(fitted: FittedImages) -> Figure:
    """Each image above its projection and their difference, the grey values of the three alike in an image's column."""
    count = len(fitted.images)
    columns = min(_COLUMNS, count)
    bands = -(-count // columns)
    figure = Figure(figsize=(6.4, bands * (3 * 6.0 / columns + 0.25)))
    grid = figure.subplots(3 * bands, columns, squeeze=False)
    for axes in grid.flatten():
        axes.set(xticks=[], yticks=[])
        axes.set_frame_on(False)
        axes.grid(visible=False)
    for number in range(count):
        band, column = divmod(number, columns)
        stack = grid[3 * band : 3 * band + 3, column]
        _show_column(stack, fitted, number)
    for row, axes in enumerate(grid[:, 0]):
        axes.set_ylabel(_ROWS[row % 3], size=8)
    return figure


def _show_column(stack: np.ndarray, fitted: FittedImages, number: int) -> None:
    """Show one particle in three axes, its correlation with the projection above."""
    image = fitted.images[number]
    low, high = np.percentile(image, (0.5, 99.5))
    for axes, picture in zip(stack, (image, fitted.projections[number], fitted.residuals[number]), strict=True):
        _show(axes, picture, low, high)
    colour = class_colour(int(fitted.class_number[number]))
    stack[0].set_title(f"{fitted.correlation[number]:.2f}", loc="center", size=8, color=colour)


def _show(axes: Axes, picture: Float[np.ndarray, "n n"], low: float, high: float) -> None:
    axes.imshow(picture, cmap="gray", vmin=low, vmax=high, origin="lower", interpolation="bicubic")
