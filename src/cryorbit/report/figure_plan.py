"""Which figures a job's page has, and how each is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from cryorbit.report.curve_figures import draw_course, draw_fsc, has_course
from cryorbit.report.fit_figures import draw_fitted
from cryorbit.report.fitted_images import FittedImages, read_fitted
from cryorbit.report.look import FAINT, class_colour
from cryorbit.report.map_figures import draw_beside_truth, draw_map, draw_surfaces
from cryorbit.report.moment_figures import draw_density, draw_spread
from cryorbit.report.mra_figures import draw_solution
from cryorbit.report.noise_figures import draw_noise, draw_scales
from cryorbit.report.particle_figures import draw_certainty, draw_view_directions
from cryorbit.report.pass_figures import draw_class_flow, draw_pass_curves, has_class_flow, has_pass_curves
from cryorbit.report.postprocess_figures import plan_postprocess
from cryorbit.report.results import JobResults
from cryorbit.report.seed_figures import draw_cross_seed
from cryorbit.report.surface import shaded_views
from cryorbit.report.viewpoints import viewpoints

_FITTED_LOW_PASS_A = 20.0
"""Finest low-pass of the images beside their projections: finer than that an image shows its noise alone."""


PAIR = 2
"""Starts whose agreement is one number, which the page says in words."""


@dataclass(frozen=True, slots=True)
class FigurePlan:
    """A figure to be drawn if the job has what it shows."""

    name: str
    draw: Callable[[], Figure]
    vector: bool


def plan_figures(results: JobResults) -> Iterator[FigurePlan]:
    """List the figures that the job has data for."""
    yield from _plan_maps(results)
    if (solution := results.path / "solution.npz").exists():
        yield FigurePlan("solution", partial(draw_solution, solution), vector=True)
    if any(each.fsc is not None for each in results.classes):
        yield FigurePlan("fsc", partial(draw_fsc, results.classes), vector=True)
    yield from _plan_course(results.metrics)
    particles = results.particles
    if (density := results.path / "density.csv").exists():
        yield FigurePlan("view_directions", partial(draw_density, density), vector=False)
    elif particles is not None and {"rlnAngleRot", "rlnAngleTilt"} <= set(particles):
        yield FigurePlan("view_directions", partial(draw_view_directions, particles), vector=False)
    if particles is not None and "rlnMaxValueProbDistribution" in particles:
        yield FigurePlan("certainty", partial(draw_certainty, particles), vector=True)
    if (fitted := _fitted(results)) is not None:
        yield FigurePlan("fitted", partial(draw_fitted, fitted), vector=False)
    for name, draw in {"noise": draw_noise, "scales": draw_scales, "spread": draw_spread}.items():
        if (file := results.path / f"{name}.csv").exists():
            yield FigurePlan(name, partial(draw, file), vector=True)
    if results.postprocess is not None:
        yield from (FigurePlan(name, draw, vector=False) for name, draw in plan_postprocess(results.postprocess))
    cross_seed = results.result.cross_seed
    if cross_seed is not None and len(cross_seed.seeds) > PAIR:
        yield FigurePlan("cross_seed", partial(draw_cross_seed, cross_seed), vector=True)


def _plan_maps(results: JobResults) -> Iterator[FigurePlan]:
    """List the figures of the maps, symmetric ones along their axes."""
    sides = viewpoints((results.record.get("config") or {}).get("symmetry") or "C1")
    for each in results.classes:
        if each.volume is not None and each.pixel_size is not None:
            views = shaded_views(each.volume, class_colour(each.number), sides)
            draw = partial(draw_map, each.volume, each.pixel_size, views, sides)
            yield FigurePlan(f"map_{each.number}", draw, vector=False)
            yield FigurePlan(f"surface_{each.number}", partial(draw_surfaces, views), vector=False)
    if results.truth is not None:
        superposed, truth = results.truth.superposed, results.truth.truth
        pictures = shaded_views(superposed, class_colour(1)), shaded_views(truth, FAINT)
        yield FigurePlan("truth", partial(draw_beside_truth, *pictures), vector=False)


def _plan_course(metrics: pd.DataFrame) -> Iterator[FigurePlan]:
    """List the figures of what happened from iteration to iteration."""
    if has_course(metrics):
        yield FigurePlan("course", partial(draw_course, metrics), vector=True)
    if has_pass_curves(metrics):
        yield FigurePlan("fsc_passes", partial(draw_pass_curves, metrics), vector=True)
    if has_class_flow(metrics):
        yield FigurePlan("class_flow", partial(draw_class_flow, metrics), vector=True)


def _fitted(results: JobResults) -> FittedImages | None:
    """A few particles beside the projections of their maps, if the job has posed any."""
    table = results.path / "particles.star"
    if results.particles is None or not results.classes or "rlnAngleRot" not in results.particles:
        return None
    finest = min((each.entry.resolution_A or 0.0 for each in results.classes), default=0.0)
    low_pass = max(_FITTED_LOW_PASS_A, finest)
    return read_fitted(table, [each.volume for each in results.classes], results.record.get("config") or {}, low_pass)
