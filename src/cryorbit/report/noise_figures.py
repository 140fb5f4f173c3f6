"""Figures of what a refinement estimates beside the map: the noise spectrum, and the contrast of micrographs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from cryorbit.report.curve_figures import label_by_resolution
from cryorbit.report.look import class_colour


def draw_noise(file: Path) -> Figure:
    """Noise variance against spatial frequency, a curve a half-set, from ``noise.csv``."""
    table = pd.read_csv(file).iloc[1:]
    figure = Figure(figsize=(6.4, 2.6))
    axes = figure.subplots()
    for number, half in enumerate(("half1", "half2"), start=1):
        axes.plot(table["frequency_per_A"], table[half], color=class_colour(number), label=f"half-set {number}")
    axes.set(xlabel="resolution (Å)", ylabel="noise variance", yscale="log")
    axes.set_xlim(left=0)
    label_by_resolution(axes)
    axes.legend(fontsize=8)
    return figure


def draw_scales(file: Path) -> Figure:
    """Histogram of the contrast of micrographs relative to the average, each by its particles, from ``scales.csv``."""
    table = pd.read_csv(file)
    figure = Figure(figsize=(6.4, 2.4))
    axes = figure.subplots()
    axes.hist(table["scale"], bins=40, weights=table["particles"], color=class_colour(1))
    axes.set(xlabel="contrast relative to the average", ylabel="particles")
    return figure
