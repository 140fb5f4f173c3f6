"""Figure of what multireference alignment found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cryorbit.report.look import class_colour


def draw_solution(file: Path) -> Figure:
    """The signal, a line a channel, and the density of shifts of a solution (``.npz``)."""
    with np.load(file, allow_pickle=False) as solution:
        signal, density = solution["signal"], solution["density"]
    figure = Figure(figsize=(6.4, 2.4))
    left, right = figure.subplots(1, 2)
    for number, channel in enumerate(signal, start=1):
        left.plot(channel, ".-", color=class_colour(number))
    left.set(xlabel="sample", ylabel="signal")
    right.bar(np.arange(len(density)), density, color=class_colour(1))
    right.set(xlabel="shift", ylabel="probability")
    return figure
