"""Figures of chapter 4 of Paul (2024): the problems, and how methods converge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from cryorbit.studies.paul2024.ch4.runs import Run

ROUNDING = 1e-15


def draw_problem(signal: Float[Tensor, " n"], density: Float[Tensor, " n"]) -> Figure:
    """The signal and the density of shifts (figure 4.1)."""
    figure = Figure(figsize=(6.4, 2.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(signal.numpy(), ".-")
    left.set(xlabel="sample", title="signal")
    right.bar(range(len(density)), density.numpy())
    right.set(xlabel="shift", title="density of shifts")
    return figure


def draw_images(images: Mapping[str, Float[Tensor, "n n"]]) -> Figure:
    """Images side by side under their names (figures 4.4 and 4.5)."""
    figure = Figure(figsize=(2.4 * len(images), 2.6), layout="constrained")
    for axes, (name, image) in zip(figure.subplots(1, len(images)), images.items(), strict=True):
        axes.imshow(image.numpy(), cmap="gray", origin="lower")
        axes.set(title=name, xticks=[], yticks=[])
    return figure


def draw_convergence(runs: Sequence[Run], least: float) -> Figure:
    """Distance to the least objective against cost-weighted epochs and seconds (figures 4.2, 4.3 and 4.6)."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    colours = matplotlib.colormaps["tab10"]
    for number, run in enumerate(runs):
        gap = (run.trace.values - least).clamp_min(ROUNDING).numpy()
        line = {"color": colours(number % 10), "linestyle": "--" if "printed" in run.contender.name else "-"}
        left.plot(run.trace.passes.numpy(), gap, label=run.contender.name, **line)
        right.plot(run.trace.seconds.numpy(), gap, **line)
    for axes, label in ((left, "cost-weighted epochs"), (right, "seconds")):
        axes.set(yscale="log", ylim=(ROUNDING / 2, 1e2), xlabel=label)
        axes.grid(alpha=0.3)
    left.set_xscale("symlog", linthresh=1)
    right.set_xscale("log")
    left.set_ylabel("objective above the least")
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    return figure
