"""One look for all figures: colours, type, and how a figure gets into the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from cryorbit.io.atomic import atomic_path

CLASS_COLOURS = ("#3a6ea5", "#d9822b", "#3d9970", "#b0497f", "#7a68ae", "#8c8a36", "#4aa3b8", "#a6553f")
INK = "#2b3440"
FAINT = "#9aa5b1"

_STYLE: Any = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.color": "#e6eaee",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "cryorbit",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def class_colour(number: int) -> str:
    """Colour of class ``number`` (from 1), the same in every figure."""
    return CLASS_COLOURS[(number - 1) % len(CLASS_COLOURS)]


def save_figure(draw: Callable[[], Figure], file: Path, *, vector: bool) -> str:
    """Draw a figure in the common look, save it as PNG, and return it as a data URI for the page.

    Parameters
    ----------
    draw
        Makes the figure.
    file
        Where the PNG goes; its folder is made.
    vector
        Whether the page gets SVG (for curves) or the PNG itself (for images).
    """
    with matplotlib.rc_context(_STYLE):
        figure = draw()
        with atomic_path(file) as temporary:
            figure.savefig(temporary, dpi=150)
        if not vector:
            return embed_picture(file)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _data_uri("image/svg+xml", buffer.getvalue())


def embed_picture(file: Path) -> str:
    """A PNG file as a data URI for the page."""
    return _data_uri("image/png", file.read_bytes())


def _data_uri(kind: str, content: bytes) -> str:
    """Return ``content`` as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
