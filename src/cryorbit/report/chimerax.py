"""A ChimeraX script that shows the maps of a job as the report does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryorbit.io.atomic import atomic_path
from cryorbit.report.look import class_colour
from cryorbit.report.results import ClassResult
from cryorbit.report.surface import contour_level

VIEWS = "angdist.bild"


def write_view(file: Path, classes: Sequence[ClassResult]) -> None:
    """Write commands that open every map beside the script, contoured and coloured; nothing if there is no map.

    The view directions of a single map are opened too, hidden: they would surround it.
    """
    shown = [(result, contour_level(result.volume)) for result in classes if result.volume is not None]
    if not shown:
        return
    lines = ["# open this file with ChimeraX", "set bgColor white", "lighting soft"]
    for model, (result, level) in enumerate(shown, start=1):
        lines.append(f'open "{result.entry.map}"')
        lines.append(f"volume #{model} style surface step 1 level {level:.5g} color {class_colour(result.number)}")
    if len(shown) > 1:
        lines.append("tile all")
    elif (file.parent / VIEWS).exists():
        lines += [f'open "{VIEWS}"', "hide #2 models", "# show #2 models shows where particles were seen from"]
    lines.append("view")
    with atomic_path(file) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
