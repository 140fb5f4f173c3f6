"""The gallery of the documentation: its figures can be drawn from the records, and no reproduction is left out."""

import re
from pathlib import Path

import pytest

import gallery
from cryorbit.studies import REPRODUCTIONS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", gallery.FIGURES)
def test_a_figure_shows_its_record(name: str) -> None:
    axes = gallery.draw(name).axes
    assert all(panel.lines or panel.patches for panel in axes)
    assert all(panel.get_xlabel() for panel in axes)


def test_the_page_has_every_figure_and_every_reproduction() -> None:
    page = (DOCS / "reproductions.md").read_text()
    assert re.findall(r"images/gallery_(\w+)\.png", page) == list(gallery.FIGURES)
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(REPRODUCTIONS)
