"""Real particles of a symmetric molecule: from one start map beside RELION's half-maps, or from random starts.

    python benchmarks/real_particles.py --particles set/particles.star --symmetry O --start-map start.mrc \
        --relion-halves half1_unfil.mrc half2_unfil.mrc
    python benchmarks/real_particles.py --particles set/particles.star --symmetry O --start-map start.mrc \
        --relion-diameter 150
    python benchmarks/real_particles.py --particles set/particles.star --symmetry O --seeds 0 1 2 3 4

A shell agrees with any other shell: half-maps are compared without their spherical averages. No diameter is given to
cryorbit. With ``--relion-diameter`` RELION refines the same particles in the same go, and is measured in the same way.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from half_maps import structure_fsc
from jobs import Record, told_cost
from measure import CRYORBIT, Cost, run_measured
from relion import AutoRefine, auto_refine, in_float32
from tables import save, show

RELION_START_A = 20.0
"""To which RELION's start map is low-passed, A."""
RESOLUTIONS_A = [20.0, 16.0, 14.0, 12.0, 10.0, 9.2, 8.6, 8.0, 7.5, 7.06]


def main(
    *,
    particles: Path,
    symmetry: str,
    start_map: Path | None = None,
    seeds: Annotated[list[int] | None, Parameter(consume_multiple=True)] = None,
    relion_halves: tuple[Path, Path] | None = None,
    relion_diameter: float | None = None,
    relion_minutes: float | None = None,
    radius: float = 70.0,
    threads: int = 2,
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Refine from a start map, or run the whole way from each random start; a row each.

    Parameters
    ----------
    particles, symmetry
        What is refined, under which point group.
    start_map
        Where a refinement starts.
    seeds
        Of jobs of ``cryorbit run``.
    relion_halves
        Half-maps that another program made of the same particles: a row beside ours.
    relion_diameter
        Of RELION's mask, A, if RELION is to run from the start map.
    relion_minutes
        RELION is ended after so many minutes; by default it ends when it has converged.
    radius
        Within which half-maps are compared, A.
    threads
        Of cryorbit.
    folder
        Where the jobs are kept; a temporary one if not given.
    output
        Where the numbers are written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (folder or Path(temporary)).absolute()
        common = (particles.absolute(), "--symmetry", symmetry, "--threads", str(threads))
        rows: list[Record] = []
        if relion_halves is not None:
            unknown = dict.fromkeys(told_cost(Cost(0, 0, 0)), "-")
            rows.append({"job": "RELION", **unknown, **agreement(relion_halves, radius), "verdict": "-"})
        if start_map is not None:
            job = scratch / "refined"
            rows.append(measured(("refine", *common, "--map", start_map.absolute(), "-o", job), job, job, radius))
        if start_map is not None and relion_diameter is not None:
            images = in_float32(particles.absolute(), scratch / "float32")
            relion = AutoRefine(images, start_map.absolute(), relion_diameter, symmetry, RELION_START_A)
            rows.append(beside(relion, scratch, relion_minutes, radius, threads))
        for seed in seeds or []:
            job = scratch / f"seed_{seed}"
            words = ("run", *common, "--seed", str(seed), "-o", job)
            rows.append(measured(words, job, job / "2_refine", radius))
        show("Real particles: half-maps without their spherical averages, FSC", rows, [])
        save(output, "real_particles", {"threads": threads, "rows": rows})


def measured(words: tuple[str | Path, ...], job: Path, refinement: Path, radius: float) -> Record:
    """Cost and verdict of a job, and how far the half-maps of its refinement agree."""
    cost = run_measured([*CRYORBIT, *words], job.with_suffix(".log"))
    halves = (refinement / "map_half1_unfil.mrc", refinement / "map_half2_unfil.mrc")
    verdict = json.loads((job / "job.json").read_text())["result"]["verdict"]["level"]
    return {"job": job.name, **told_cost(cost), **agreement(halves, radius), "verdict": verdict}


def beside(relion: AutoRefine, scratch: Path, minutes: float | None, radius: float, threads: int) -> Record:
    """Cost of RELION's auto-refine, and how far its half-maps agree."""
    found = auto_refine(relion, scratch, threads, minutes)
    agreeing = agreement(found.halves, radius)
    if found.converged:
        return {"job": "RELION", **told_cost(found.cost), **agreeing, "verdict": "-"}
    held = {at: "-" if float(at.split()[0]) < found.resolution_A else fsc for at, fsc in agreeing.items()}
    name = f"RELION, ended after {found.iterations} iterations"
    return {"job": name, **told_cost(found.cost), **held, "verdict": "-"}


def agreement(halves: tuple[Path, Path], radius: float) -> Record:
    """Correlation at each resolution."""
    fsc = structure_fsc(*halves, RESOLUTIONS_A, radius)
    return {f"{r:g} A": round(f, 2) for r, f in zip(RESOLUTIONS_A, fsc, strict=True)}


if __name__ == "__main__":
    cyclopts.run(main)
