"""Figure 3.7 of Paul (2024): the Kam loss over the steps of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure


def draw_losses(courses: Mapping[str, Sequence[float]]) -> Figure:
    """Losses over steps, a line a course."""
    figure = Figure(figsize=(5.5, 3.4), layout="constrained")
    panel = figure.subplots()
    for name, losses in courses.items():
        panel.plot(range(len(losses)), losses, label=name)
    panel.set(yscale="log", xlabel="steps", ylabel="Kam loss")
    panel.grid(alpha=0.3)
    panel.legend(frameon=False)
    return figure
