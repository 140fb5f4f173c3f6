"""Figures of an inspection: defocus, spectra, contrast, and a sheet of particles."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cryorbit.recipes.inspect.findings import Defocus
from cryorbit.recipes.inspect.image_findings import ImageFindings
from cryorbit.report.curve_figures import label_by_resolution
from cryorbit.report.look import CLASS_COLOURS, INK

_PLAIN, _STRIKING = CLASS_COLOURS[0], CLASS_COLOURS[1]
_BINS = 50
_COLUMNS = 6


def draw_defocus(defocus: Defocus) -> Figure:
    """Histograms of defocus and astigmatism; particles far from the others in another colour."""
    figure = Figure(figsize=(6.4, 2.6))
    far = defocus.outliers.numpy()
    panels = {"defocus (µm)": defocus.mean.numpy() * 1e-4, "astigmatism (Å)": defocus.astigmatism.numpy()}
    for axes, (label, values) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        known = np.isfinite(values)
        edges = np.histogram_bin_edges(values[known], _BINS)
        colours = {"near": _PLAIN, "far from the others": _STRIKING}
        groups = [values[known & ~far], values[known & far]]
        axes.hist(groups, bins=edges.tolist(), stacked=True, color=list(colours.values()), label=list(colours))
        axes.set(xlabel=label, ylabel="particles")
        axes.grid(visible=False)
        if far.any():
            # a few among many thousands would not be seen on an even scale
            axes.set_yscale("log")
            axes.legend(fontsize=8)
    return figure


def draw_spectra(images: ImageFindings, box: int, pixel_size: float) -> Figure:
    """Mean power of the images and of their background, against spatial frequency."""
    figure = Figure(figsize=(6.4, 3.0))
    axes = figure.subplots()
    frequency = np.arange(1, len(images.power)) / (box * pixel_size)
    axes.semilogy(frequency, images.power[1:].numpy(), color=_PLAIN, label="images")
    axes.semilogy(frequency, images.noise[1:].numpy(), color=_STRIKING, label="background: noise")
    axes.set(xlabel="resolution (Å)", ylabel="mean power")
    axes.set_xlim(left=0)
    label_by_resolution(axes)
    axes.legend(fontsize=8)
    return figure


def draw_contrast(images: ImageFindings) -> Figure:
    """Histogram of the contrast of the centre of each image; what lies right of 0 has white protein."""
    figure = Figure(figsize=(6.4, 2.3))
    axes = figure.subplots()
    axes.hist(images.contrast.numpy(), bins=_BINS, color=_PLAIN)
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.axvline(float(images.contrast.median()), color=_STRIKING)
    axes.set(xlabel="centre minus background (standard deviations of the image)", ylabel="images")
    axes.grid(visible=False)
    return figure


def draw_sheet(images: ImageFindings) -> Figure:
    """A few images as they are, and below each the same image low-passed."""
    count = len(images.pictures)
    bands = -(-count // _COLUMNS)
    figure = Figure(figsize=(6.4, 2.35 * bands))
    grid = figure.subplots(2 * bands, _COLUMNS, squeeze=False)
    for axes in grid.flatten():
        axes.set_axis_off()
    for number in range(count):
        band, column = divmod(number, _COLUMNS)
        for below, picture in enumerate((images.pictures[number].numpy(), images.smoothed[number].numpy())):
            low, high = np.percentile(picture, (0.5, 99.5))
            grid[2 * band + below, column].imshow(picture, cmap="gray", vmin=low, vmax=high, origin="lower")
        grid[2 * band, column].set_title(f"row {int(images.picture_rows[number])}", loc="center", size=7)
    return figure
