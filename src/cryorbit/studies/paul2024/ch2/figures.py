"""Figure 2.4 of Paul (2024): errors of moments and of what is recovered, over the steps of refinement."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure

from cryorbit.studies.paul2024.ch2.recovery import Course

PANELS = ("sum of relative errors of moments", "error of the signal", "error of the density")


def draw_courses(courses: Sequence[Course]) -> Figure:
    """Mean errors over data sets, a line a method; classical ones, which take no steps, as level lines."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    panels = figure.subplots(1, 3)
    for number, method in enumerate(dict.fromkeys(course.method for course in courses)):
        those = [course for course in courses if course.method == method]
        means = torch.stack([course.errors for course in those]).mean(0)
        for panel, values in zip(panels, means.unbind(1), strict=True):
            if len(values) > 1:
                panel.plot(those[0].steps, values.numpy(), color=f"C{number}", label=method)
            else:
                panel.axhline(float(values[0]), color=f"C{number}", linestyle="--", label=method)
    for panel, title in zip(panels, PANELS, strict=True):
        panel.set(yscale="log", xlabel="steps", title=title)
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=8, frameon=False)
    return figure
