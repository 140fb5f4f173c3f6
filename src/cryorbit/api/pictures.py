"""Figures as HTML that a notebook shows, in the look of the report."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib.figure import Figure

from cryorbit.report.look import save_figure


def picture(draw: Callable[[], Figure], alt: str) -> str:
    """A figure as an ``img`` element that holds its own PNG."""
    with TemporaryDirectory() as folder:
        uri = save_figure(draw, Path(folder) / "figure.png", vector=False)
    return f'<img src="{uri}" alt="{escape(alt)}" style="max-width: 640px">'


def paragraph(text: str) -> str:
    """A line of text as a ``p`` element."""
    return f"<p>{escape(text)}</p>"
