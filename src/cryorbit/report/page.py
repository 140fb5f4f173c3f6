"""A job folder as one HTML page that needs nothing else: no network, no files beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cryorbit.io.atomic import atomic_path
from cryorbit.report.chimerax import write_view
from cryorbit.report.curve_figures import draw_course, draw_fsc, has_course
from cryorbit.report.fit_figures import draw_fitted
from cryorbit.report.fitted_images import FittedImages, read_fitted
from cryorbit.report.job_tables import defocus_table, read_warnings, stage_times
from cryorbit.report.look import FAINT, class_colour, save_figure
from cryorbit.report.map_figures import draw_beside_truth, draw_map, draw_surfaces
from cryorbit.report.moment_figures import draw_density
from cryorbit.report.mra_figures import draw_solution
from cryorbit.report.particle_figures import draw_certainty, draw_view_directions
from cryorbit.report.postprocess_figures import plan_postprocess
from cryorbit.report.results import JobResults, read_results
from cryorbit.report.seed_figures import draw_cross_seed
from cryorbit.report.surface import shaded_views
from cryorbit.report.surface_view import SurfaceView, pack_surface
from cryorbit.report.templating import load_template
from cryorbit.report.working_maps import read_working_maps

PAGE = "report.html"
_REASON = "cryorbitSetAsideReasonName"
_LISTED = 20
_FITTED_LOW_PASS_A = 20.0
"""Finest low-pass of the images beside their projections: finer than that an image shows its noise alone."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A figure to be drawn if the job has what it shows."""

    name: str
    draw: Callable[[], Figure]
    vector: bool


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
        for plan in _plan_figures(results)
    }
    return load_template("report.html.j2").render(
        name=results.path.resolve().name,
        record=results.record,
        result=results.result,
        classes=results.classes,
        stages=results.stages,
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
        defocus=defocus_table(results.particles),
        warnings=read_warnings(results.path),
        ess=_effective_poses(results.particles),
    )


def _plan_figures(results: JobResults) -> Iterator[_Plan]:
    """List the figures that the job has data for."""
    yield from _plan_maps(results)
    if (solution := results.path / "solution.npz").exists():
        yield _Plan("solution", partial(draw_solution, solution), vector=True)
    if any(each.fsc is not None for each in results.classes):
        yield _Plan("fsc", partial(draw_fsc, results.classes), vector=True)
    if has_course(results.metrics):
        yield _Plan("course", partial(draw_course, results.metrics), vector=True)
    particles = results.particles
    if (density := results.path / "density.csv").exists():
        yield _Plan("view_directions", partial(draw_density, density), vector=False)
    elif particles is not None and {"rlnAngleRot", "rlnAngleTilt"} <= set(particles):
        yield _Plan("view_directions", partial(draw_view_directions, particles), vector=False)
    if particles is not None and "rlnMaxValueProbDistribution" in particles:
        yield _Plan("certainty", partial(draw_certainty, particles), vector=True)
    if (fitted := _fitted(results)) is not None:
        yield _Plan("fitted", partial(draw_fitted, fitted), vector=False)
    if results.postprocess is not None:
        yield from (_Plan(name, draw, vector=False) for name, draw in plan_postprocess(results.postprocess))
    cross_seed = results.result.get("cross_seed") or {}
    if len(cross_seed.get("seeds", [])) > 1:
        yield _Plan("cross_seed", partial(draw_cross_seed, cross_seed), vector=True)


def _plan_maps(results: JobResults) -> Iterator[_Plan]:
    """List the figures of the maps."""
    for each in results.classes:
        if each.volume is not None and each.pixel_size is not None:
            views = shaded_views(each.volume, class_colour(each.number))
            yield _Plan(f"map_{each.number}", partial(draw_map, each.volume, each.pixel_size, views), vector=False)
            yield _Plan(f"surface_{each.number}", partial(draw_surfaces, views), vector=False)
    if results.truth is not None:
        found, truth = results.truth.superposed, results.truth.truth
        pictures = shaded_views(found, class_colour(1)), shaded_views(truth, FAINT)
        yield _Plan("truth", partial(draw_beside_truth, *pictures), vector=False)


def _surfaces(results: JobResults) -> dict[int, SurfaceView | None]:
    """Interactive views of the maps by class: those of the result, or those that the job is working on."""
    found = [(each.name, each.volume, each.pixel_size) for each in results.classes]
    if not found and results.record["status"] != "finished":
        found = [(f"class {k}", volume, None) for k, volume in enumerate(read_working_maps(results.path), start=1)]
    return {
        number: None if volume is None else pack_surface(volume, pixel_size, name, class_colour(number))
        for number, (name, volume, pixel_size) in enumerate(found, start=1)
    }


def _fitted(results: JobResults) -> FittedImages | None:
    """A few particles beside the projections of their maps, if the job has posed any."""
    table = results.path / "particles.star"
    if results.particles is None or not results.classes or "rlnAngleRot" not in results.particles:
        return None
    finest = min((each.entry.get("resolution_A") or 0.0 for each in results.classes), default=0.0)
    low_pass = max(_FITTED_LOW_PASS_A, finest)
    return read_fitted(table, [each.volume for each in results.classes], results.record.get("config") or {}, low_pass)


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
    reasons = table[_REASON] if _REASON in table else table.iloc[:, -1]
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
