"""Figures of the documentation's gallery, drawn from the results that are recorded in ``benchmarks/results``.

``python benchmarks/gallery.py`` writes ``docs/images/gallery_*.png``; nothing is measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"
IMAGES = Path(__file__).parents[1] / "docs" / "images"
Row = Mapping[str, Any]


def draw_preconditioning(rows: Sequence[Row]) -> Figure:
    """Gap to the minimum over passes, a line a method (Toader, Brubaker & Lederman 2025)."""
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        first = float(mine[0]["gap"])
        axes.plot([float(row["passes"]) for row in mine], [float(row["gap"]) / first for row in mine], label=method)
    axes.set(yscale="log", xlabel="evaluations / images", ylabel="gap to the minimum / at the start")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize=8, frameon=False)
    return figure


def draw_encoders(rows: Sequence[Row]) -> Figure:
    """Test errors of signals from moments, bars a method, published and found (table 2.1 of Paul 2024).

    Bars are up to whole samples, black lines in them up to any shift.
    """
    figure = Figure(figsize=(7, 3.0), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for axes, what in zip(panels, ("signal, test", "density, test"), strict=True):
        for number, method in enumerate(methods):
            mine = [row for row in rows if row["method"] == method and row[what]]
            places = [int(row["Gaussians"]) + 0.2 * (number - (len(methods) - 1) / 2) for row in mine]
            axes.bar(places, [float(row[what]) for row in mine], 0.18, label=method)
            finer = [float(row[f"{what}, any shift"] or "nan") for row in mine]
            axes.plot(places, finer, "k_", markersize=10)
        axes.set(xlabel="Gaussians", title=what.split(",")[0], xticks=[1, 2, 3])
    panels[0].set_ylabel("mean relative error, test")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    return figure


def draw_refinement(rows: Sequence[Row]) -> Figure:
    """Resolution of half-maps over passes: passes over all particles, and mini-batches first."""
    figure = Figure(figsize=(7, 3.0), layout="constrained")
    axes = figure.subplots()
    for method in ("em", "psgd"):
        reached = [row for row in rows if row.get(f"{method} passes") is not None]
        passes = [row[f"{method} passes"] for row in reached]
        axes.plot(passes, [row["resolution, A"] for row in reached], "o-", label=method)
    axes.set(xscale="log", xlabel="passes over the particles", ylabel="resolution (A)")
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


FIGURES: dict[str, tuple[str, str, Callable[[Sequence[Row]], Figure]]] = {
    "toader2023": ("toader2023", "epochs", draw_preconditioning),
    "paul2024_ch2": ("paul2024_ch2", "table_2_1", draw_encoders),
    "refine_methods": ("refine_methods_polymerase", "reached", draw_refinement),
}
"""Name of a figure: the record it is drawn from, the table in it, and how."""


def draw(name: str) -> Figure:
    """The figure of that name."""
    record, table, drawn = FIGURES[name]
    return drawn(json.loads((RESULTS / f"{record}.json").read_text())[table])


def main() -> None:
    """Write all figures."""
    for name in FIGURES:
        draw(name).savefig(IMAGES / f"gallery_{name}.png", dpi=110)


if __name__ == "__main__":
    main()
