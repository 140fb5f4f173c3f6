"""Figures of a study as files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from cryorbit.io.atomic import atomic_path


def save_png(figure: Figure, file: Path) -> Path:
    """Write a figure as PNG; returns the file."""
    with atomic_path(file) as temporary:
        figure.savefig(temporary, dpi=150)
    return file
