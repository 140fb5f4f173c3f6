"""A job folder as one HTML page that needs nothing else: no network, no files beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cryorbit.io.atomic import atomic_path
from cryorbit.io.set_aside import REASON
from cryorbit.report.chimerax import write_view
from cryorbit.report.figure_plan import plan_figures
from cryorbit.report.job_tables import defocus_table, pruning_table, read_warnings, stage_times
from cryorbit.report.look import class_colour, save_figure
from cryorbit.report.next_steps import next_steps
from cryorbit.report.results import JobResults, read_results
from cryorbit.report.surface_view import SurfaceView, pack_surface
from cryorbit.report.templating import load_template
from cryorbit.report.working_maps import read_working_maps

PAGE = "report.html"
_LISTED = 20


def write_report(folder: Path) -> Path:
    """Write ``report.html``, ``figures/`` and ``view.cxc`` into a job folder from what lies in it.

    Whatever the job has not written yet is left out of the page.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If ``folder`` holds no job, or a file of it is damaged.
    """
    page = render_report(folder)
    with atomic_path(folder / PAGE) as file:
        file.write_text(page, encoding="utf-8")
    return folder / PAGE


def render_report(folder: Path, standing: str | None = None) -> str:
    """Draw ``figures/``, write ``view.cxc`` and return the page.

    Parameters
    ----------
    folder
        The job folder.
    standing
        Of a job that is running, HTML that tells where it is: the page has it on top and refreshes itself.

    Raises
    ------
    InputError
        If ``folder`` holds no job, or a file of it is damaged.
    """
    results = read_results(folder)
    write_view(results.path / "view.cxc", results.classes)
    figures = {
        plan.name: save_figure(plan.draw, results.path / "figures" / f"{plan.name}.png", vector=plan.vector)
        for plan in plan_figures(results)
    }
    return load_template("report.html.j2").render(
        name=results.path.resolve().name,
        steps=next_steps(results.record, results.result, results.path),
        symmetry=results.result.symmetry or (results.record.get("config") or {}).get("symmetry"),
        record=results.record,
        result=results.result,
        numbers=_numbers(results.record),
        postprocess=None if results.postprocess is None else results.postprocess.numbers,
        classes=results.classes,
        stages=results.stages,
        study=results.study,
        truth=None if results.truth is None else results.truth.entry,
        figures=figures,
        surfaces=_surfaces(results),
        particles=None if results.particles is None else len(results.particles),
        iterations=len(results.metrics),
        set_aside=_set_aside(results),
        settings=list(_flatten(results.record.get("config") or {})),
        files=_files(results.path),
        standing=standing,
        stage_times=stage_times(results.metrics),
        pruning=pruning_table(results.metrics),
        defocus=defocus_table(results.particles),
        warnings=read_warnings(results.path),
        ess=_effective_poses(results.particles),
    )


def _surfaces(results: JobResults) -> dict[int, SurfaceView | None]:
    """Interactive views of the maps by class: those of the result, or those that the job is working on."""
    maps = [(each.entry.name, each.volume, each.pixel_size) for each in results.classes]
    if not maps and results.record["status"] != "finished":
        maps = [(f"class {k}", volume, None) for k, volume in enumerate(read_working_maps(results.path), start=1)]
    return {
        number: None if volume is None else pack_surface(volume, pixel_size, name, class_colour(number))
        for number, (name, volume, pixel_size) in enumerate(maps, start=1)
    }


def _numbers(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the result says in single numbers or words, by name."""
    result = record.get("result") or {}
    return {name: value for name, value in result.items() if value is not None and not isinstance(value, dict)}


def _effective_poses(particles: pd.DataFrame | None) -> float | None:
    """Median over the particles of the number of poses that share their posterior."""
    if particles is None or "rlnNrOfSignificantSamples" not in particles:
        return None
    return float(particles["rlnNrOfSignificantSamples"].astype(float).median())


def _set_aside(results: JobResults) -> dict[str, Any] | None:
    """Count the particles set aside by reason and list the first of them."""
    table = results.set_aside
    if table is None or table.empty:
        return None
    reasons = table[REASON] if REASON in table else table.iloc[:, -1]
    images = table["rlnImageName"] if "rlnImageName" in table else table.index.astype(str)
    return {
        "count": len(table),
        "reasons": reasons.value_counts().to_dict(),
        "first": list(zip(images[:_LISTED], reasons[:_LISTED], strict=True)),
    }


def _files(folder: Path) -> list[str]:
    """Names of the files of a job, without the page itself and hidden ones."""
    names = (file.name for file in folder.iterdir() if file.is_file())
    return sorted(name for name in names if name != PAGE and not name.startswith("."))


def _flatten(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Pairs of dotted key and value of nested settings."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
