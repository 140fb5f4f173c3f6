"""Figures of the study of conditioning: convergence, correlations by shell, spectra."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from cryorbit.studies.toader2023.conditioning import Spectra
from cryorbit.studies.toader2023.courses import LOOKS, Course

COLOURS = matplotlib.colormaps["tab10"]
BINS = np.geomspace(1e-6, 10.0, 50)


def draw_convergence(courses: Sequence[Course]) -> Figure:
    """What is left of the gap to the minimum, against epochs, evaluations and processor time."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for number, course in enumerate(courses):
        left = [each / course.gaps[0] for each in course.gaps]
        for axes, costs in zip(panels, (range(len(left)), course.passes, course.seconds), strict=True):
            axes.plot(costs, left, color=COLOURS(number), label=course.contender.name)
    for axes, label in zip(panels, ("epochs", "evaluations / images", "seconds of processor time"), strict=True):
        axes.set(yscale="log", xlabel=label)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("gap to the minimum / at the start")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    return figure


def draw_correlations(courses: Sequence[Course]) -> Figure:
    """Correlation with the minimum (above) and with the truth (below) in every shell, after some epochs."""
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    panels = figure.subplots(2, len(LOOKS), sharex=True, sharey=True)
    for row, other in enumerate(("minimum", "truth")):
        for axes, epoch in zip(panels[row], LOOKS, strict=True):
            for number, course in enumerate(courses):
                axes.plot(course.correlations[epoch][row].numpy(), color=COLOURS(number), label=course.contender.name)
            axes.set(title=f"with the {other}, epoch {epoch}", ylim=(-0.05, 1.02))
            axes.grid(alpha=0.3)
    for axes in panels[-1]:
        axes.set_xlabel("shell")
    for axes in panels[:, 0]:
        axes.set_ylabel("correlation")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    return figure


def draw_spectra(measured: Spectra) -> Figure:
    """Diagonal by shell, distribution of eigenvalues, errors of probes."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    by_shell, eigenvalues, errors = figure.subplots(1, 3)
    for number, (name, (least, median, largest)) in enumerate(measured.diagonals.items()):
        label = {"none": "as it is"}.get(name, f"over {name}")
        by_shell.plot(median.numpy(), color=COLOURS(number), label=label)
        by_shell.fill_between(range(len(median)), least.numpy(), largest.numpy(), color=COLOURS(number), alpha=0.2)
        density = measured.densities[name]
        mass, _ = np.histogram(density.nodes.numpy(), BINS, weights=density.weights.numpy())
        eigenvalues.stairs(mass, BINS, color=COLOURS(number), label=label)
    by_shell.set(yscale="log", xlabel="shell", title="diagonal: median and range")
    eigenvalues.set(xscale="log", xlabel="eigenvalue", title="part of the eigenvalues")
    by_shell.legend(fontsize=8, frameon=False)
    probes = measured.probes
    errors.loglog(probes.probes.numpy(), probes.measured.numpy(), "o", color=COLOURS(0), label="measured")
    errors.loglog(probes.probes.numpy(), probes.expected.numpy(), color=COLOURS(0), label="expected")
    errors.set(xlabel="probes", title="relative error of the diagonal")
    errors.legend(fontsize=8, frameon=False)
    return figure
