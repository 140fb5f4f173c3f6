"""The verb ``run``: from particle images to a sharpened map."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from cryorbit.cli.options import NOTHING_SHARED, Diameter, Output, ParticleFile, Shared, Trust


def run(
    particles: ParticleFile,
    *,
    output: Output,
    start: Annotated[
        Literal["abinit", "moments"] | None,
        Parameter(help="How the first map is made: ab initio, or from moments of the images. Default: abinit."),
    ] = None,
    classes: Annotated[int | None, Parameter(help="Number of ab initio maps. Default: 1.")] = None,
    refine_all: Annotated[
        bool | None, Parameter(negative="", help="Refine every class on its own particles. Default: only the first.")
    ] = None,
    seeds: Annotated[
        int | None, Parameter(help="Number of independent ab initio starts, which are compared. Default: 2.")
    ] = None,
    symmetry: Annotated[str | None, Parameter(help="Point group: C1, C4, D2, T, O, I. Default: C1.")] = None,
    diameter: Diameter = None,
    max_resolution: Annotated[
        float | None, Parameter(help="Finest resolution of the refinement, Å. Default: as the images allow.")
    ] = None,
    trust: Trust = False,
    shared: Shared = NOTHING_SHARED,
) -> None:
    """Go from particle images to a refined, sharpened map: a first map, refinement, post-processing.

    Writes map.mrc, half-maps, particles.star and report.html, and a folder for each stage. Ctrl-C stops the job and
    keeps what is done; `cryorbit resume` continues it. A settings file has the tables [abinit], [moments],
    [refine] and [postprocess] for the stages.
    """
    from cryorbit.cli.job_work import start as start_job

    settings = {
        "particles": particles,
        "output": output,
        "start": start,
        "classes": classes,
        "refine_all": refine_all,
        "seeds": seeds,
        "symmetry": symmetry,
        "diameter": diameter,
        "max_resolution": max_resolution,
    }
    start_job("run", settings | shared.settings(), shared.config, trust=trust)
