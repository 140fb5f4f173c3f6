"""Figures of a study as files; each names the seeds of what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from cryorbit.io.atomic import atomic_path

NOTE_SIZE = 7


def save_png(figure: Figure, file: Path, seeds: Sequence[int], *, mean: bool = False) -> Path:
    """Write a figure as PNG; returns the file.

    Parameters
    ----------
    figure
        With its layout constrained.
    file
        The PNG.
    seeds
        Those that it shows, named below it; none where nothing in it is random.
    mean
        Whether the curves are means over several data sets of these seeds.
    """
    figure.supxlabel(describe_seeds(seeds, mean=mean), x=0.01, ha="left", fontsize=NOTE_SIZE)
    with atomic_path(file) as temporary:
        figure.savefig(temporary, dpi=150)
    return file


def describe_seeds(seeds: Sequence[int], *, mean: bool = False) -> str:
    """The line below a figure."""
    if not seeds:
        return "nothing in this figure depends on a seed"
    named = f"seed {seeds[0]}, one seed" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
    return f"{named}; means over data sets" if mean else named
