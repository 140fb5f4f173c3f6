"""An inspection as a folder: one self-contained HTML page, its figures, and the numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from cryorbit import __version__
from cryorbit.core.errors import InputError
from cryorbit.io.atomic import atomic_path
from cryorbit.io.destinations import make_folder, require_free_folder
from cryorbit.recipes.inspect import Inspection
from cryorbit.report.inspection_figures import draw_contrast, draw_defocus, draw_sheet, draw_spectra
from cryorbit.report.look import save_figure
from cryorbit.report.particle_figures import draw_view_directions
from cryorbit.report.templating import load_template

PAGE, NUMBERS = "report.html", "inspection.json"


def write_inspection(folder: Path, inspection: Inspection) -> Path:
    """Write ``report.html``, ``inspection.json`` and ``figures/`` into a folder where they replace nothing.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        There is a page or another file, or the folder cannot be made.
    """
    refuse_used_folder(folder)
    figures = {
        name: save_figure(draw, folder / "figures" / f"{name}.png", vector=vector)
        for name, draw, vector in _figures(inspection)
    }
    text = load_template("inspection.html.j2").render(
        inspection=inspection, images=inspection.images, figures=figures, version=__version__
    )
    with atomic_path(folder / NUMBERS) as file:
        file.write_text(json.dumps(inspection.record(), indent=2) + "\n")
    with atomic_path(folder / PAGE) as file:
        file.write_text(text, encoding="utf-8")
    return folder / PAGE


def refuse_used_folder(folder: Path) -> None:
    """Raise `InputError` if the folder holds a page or other files already, or cannot be made."""
    if (folder / PAGE).exists():
        raise InputError("this folder already holds a report", file=folder, fix="choose another folder with -o")
    require_free_folder(folder)
    make_folder(folder)


def _figures(inspection: Inspection) -> Iterator[tuple[str, Callable[[], Figure], bool]]:
    """Name and drawing of each figure, and whether it is made of lines rather than of pixels."""
    images = inspection.images
    yield "defocus", partial(draw_defocus, inspection.defocus), True
    if images is not None:
        yield "sheet", partial(draw_sheet, images), False
        yield "spectra", partial(draw_spectra, images, inspection.box, inspection.pixel_size), True
        yield "contrast", partial(draw_contrast, images), True
    if inspection.posed:
        yield "view_directions", partial(draw_view_directions, inspection.table), False
