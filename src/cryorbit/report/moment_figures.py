"""Figures of a job on moments: the density of view directions, and how far repeated fits differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cryorbit.report.curve_figures import label_by_resolution
from cryorbit.report.look import FAINT, class_colour

_SHARPNESS = 40.0
"""Of the kernel between nodes, whose width is some nine degrees."""


def draw_density(file: Path) -> Figure:
    """Density of view directions from ``density.csv``, relative to an even one; the whole sphere, equal-area."""
    table = pd.read_csv(file)
    nodes = _directions(np.deg2rad(table["rot_deg"].to_numpy()), np.pi / 2 - np.deg2rad(table["tilt_deg"].to_numpy()))
    longitude, latitude = np.meshgrid(np.linspace(-np.pi, np.pi, 181), np.linspace(-np.pi / 2, np.pi / 2, 91))
    closeness = np.exp(_SHARPNESS * (_directions(longitude, latitude) @ nodes.T - 1)) * table["weight"].to_numpy()
    density = closeness @ table["density"].to_numpy() / closeness.sum(-1)
    figure = Figure(figsize=(6.4, 3.5))
    axes = figure.subplots(subplot_kw={"projection": "mollweide"})
    image = axes.pcolormesh(longitude, latitude, density, cmap="magma_r", vmin=0, vmax=max(2.0, density.max()))
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, shrink=0.7, label="times an even spread")
    return figure


def draw_spread(file: Path) -> Figure:
    """Spread of repeated fits over their mean against spatial frequency, from ``spread.csv``."""
    table = pd.read_csv(file)
    figure = Figure(figsize=(6.4, 2.6))
    axes = figure.subplots()
    for number, name in enumerate(table.columns[1:], start=1):
        axes.plot(table["frequency_per_A"], table[name], ".-", color=class_colour(number), label=name.replace("_", " "))
    axes.axhline(1.0, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set(xlabel="resolution (Å)", ylabel="standard deviation\nover the mean", ylim=(0, None))
    axes.set_xlim(left=0)
    label_by_resolution(axes)
    axes.legend(fontsize=8)
    return figure


def _directions(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Unit vectors."""
    across = np.cos(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], -1)
