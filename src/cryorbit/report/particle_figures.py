"""Figures of particles: view directions and how sure their poses are."""

from __future__ import annotations

from typing import Any

import healpix
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from cryorbit.report.look import FAINT, INK, class_colour

_PARTICLES_A_CELL = 15
_LARGEST_NSIDE = 16
_ROTS, _TILTS = (-120, -60, 0, 60, 120), (30, 60, 90, 120, 150)
"""Angles of RELION, degrees, whose lines are drawn on the sphere."""
_NEWTON_STEPS, _LEAST_SLOPE = 30, 1e-9


def draw_view_directions(particles: pd.DataFrame) -> Figure:
    """Density of view directions on the sphere, relative to an even spread; a panel a class, equal-area."""
    groups = _by_class(particles)
    columns = min(2, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(6.4, 3.5 if columns == 1 else 1.9 * rows + 0.3))
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in grid[len(groups) :]:
        axes.set_visible(False)
    densities = [density_picture(group) for _, group in groups]
    top = max(2.0, *(np.nanpercentile(density, 99.5) for density in densities))
    for axes, (number, group), density in zip(grid, groups, densities, strict=False):
        image = axes.imshow(density, origin="lower", extent=(-2, 2, -1, 1), cmap="magma_r", vmin=0, vmax=top)
        axes.set(xticks=[], yticks=[], xlim=(-2.05, 2.05), ylim=(-1.05, 1.05))
        axes.set_title(f"class {number}: {len(group):,} particles", loc="center")
        axes.set_axis_off()
        _draw_graticule(axes)
    figure.colorbar(image, ax=grid.tolist(), shrink=0.7, label="times an even spread")
    return figure


def _draw_graticule(axes: Axes) -> None:
    """Draw lines of equal rot and tilt, with their angles in degrees at the equator and at the left."""
    halo = [withStroke(linewidth=2, foreground="white")]
    latitudes, longitudes = np.deg2rad(np.linspace(-90, 90, 91)), np.deg2rad(np.linspace(-180, 180, 91))
    for rot in _ROTS:
        axes.plot(*_mollweide(np.full(len(latitudes), np.deg2rad(rot)), latitudes), color=FAINT, linewidth=0.4)
        axes.text(
            *_mollweide(np.deg2rad(rot), 0.0), f"{rot}°", size=6, color=INK, ha="center", va="bottom", path_effects=halo
        )
    for tilt in _TILTS:
        latitude = np.deg2rad(90 - tilt)
        axes.plot(*_mollweide(longitudes, np.full(len(longitudes), latitude)), color=FAINT, linewidth=0.4)
        axes.text(*_mollweide(-np.pi, latitude), f"{tilt}° ", size=6, color=INK, ha="right", va="center")


def _mollweide(longitude: Any, latitude: Any) -> tuple[Any, Any]:
    """Place of directions, radians, in the picture."""
    auxiliary = np.asarray(latitude, dtype=float)
    for _ in range(_NEWTON_STEPS):
        slope = np.maximum(2 + 2 * np.cos(2 * auxiliary), _LEAST_SLOPE)
        auxiliary = auxiliary - (2 * auxiliary + np.sin(2 * auxiliary) - np.pi * np.sin(latitude)) / slope
    return 2 * np.asarray(longitude) / np.pi * np.cos(auxiliary), np.sin(auxiliary)


def draw_certainty(particles: pd.DataFrame) -> Figure:
    """Histogram of the largest pose probability of each particle, a colour a class."""
    figure = Figure(figsize=(6.4, 2.6))
    axes = figure.subplots()
    groups = _by_class(particles)
    values = [group["rlnMaxValueProbDistribution"].astype(float) for _, group in groups]
    colours = [class_colour(number) for number, _ in groups]
    labels = [f"class {number}" for number, _ in groups]
    axes.hist(values, bins=np.linspace(0, 1, 41).tolist(), stacked=True, color=colours, label=labels)
    axes.set(xlabel="largest pose probability", ylabel="particles", xlim=(0, 1))
    axes.grid(visible=False, axis="x")
    if len(groups) > 1:
        axes.legend(fontsize=8)
    return figure


def _by_class(particles: pd.DataFrame) -> list[tuple[int, pd.DataFrame]]:
    """Particles of each class, by class number; one class where the table knows none."""
    if "rlnClassNumber" not in particles:
        return [(1, particles)]
    return [(int(number), group) for number, group in particles.groupby("rlnClassNumber")]


def density_picture(particles: pd.DataFrame, width: int = 600) -> Float[np.ndarray, "h w"]:
    """Mollweide picture of the density of view directions; NaN outside the ellipse.

    The view direction is ``R.T @ z``, with polar angle tilt and azimuth rot.
    """
    angles = np.deg2rad(particles[["rlnAngleTilt", "rlnAngleRot"]].to_numpy(float))
    tilt, rot = angles[np.isfinite(angles).all(1)].T
    tilt %= 2 * np.pi
    theta, phi = np.where(tilt > np.pi, 2 * np.pi - tilt, tilt), np.where(tilt > np.pi, rot + np.pi, rot)
    cells = np.sqrt(len(particles) / _PARTICLES_A_CELL / 12)
    nside = int(np.clip(2 ** np.floor(np.log2(max(cells, 1))), 1, _LARGEST_NSIDE))
    counts = np.bincount(healpix.ang2pix(nside, theta, phi % (2 * np.pi)), minlength=12 * nside**2)
    density = counts / counts.mean()
    x, y = np.meshgrid(np.linspace(-2, 2, width), np.linspace(-1, 1, width // 2))
    auxiliary = np.arcsin(y)
    latitude = np.arcsin(np.clip((2 * auxiliary + np.sin(2 * auxiliary)) / np.pi, -1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        longitude = np.pi * x / (2 * np.cos(auxiliary))
    outside = ~(np.abs(longitude) <= np.pi)
    cell = healpix.ang2pix(nside, np.pi / 2 - latitude, np.where(outside, 0, longitude) % (2 * np.pi))
    return np.where(outside, np.nan, density[cell])
