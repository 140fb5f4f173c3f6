"""``cryorbit abinit`` and RELION 3.1's initial model on the same particles, one after the other on one machine.

    python benchmarks/abinit_vs_relion.py --particles set/particles.star --truth-map set/truth_1.mrc \
        --output benchmarks/results/abinit_vs_relion.json

RELION runs with the settings of its window "3D initial model" (50 + 200 + 50 iterations, mini-batches of 100 to 500,
35 to 15 A, 15 degrees, offsets to 6 px in steps of 2 px), but without padding (``--pad 1``, its "skip padding"),
which is faster. ``--relion-iterations`` shortens its three phases in proportion, ``--relion-minutes`` ends it early:
then the last map it wrote is judged, and the row says how far it came. Without ``--particles``, images of the map that
comes with the package are simulated. Neither program sees the truth.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import cyclopts

from jobs import Record, agreement, measured_abinit, told_cost
from measure import run_measured
from simulated import ParticleSet, simulate_set
from tables import save, show

RELION = "relion_refine"
PHASES = (50, 200, 50)
"""Iterations at first, in between and at last."""


def main(
    *,
    particles: Path | None = None,
    truth_map: Path | None = None,
    diameter: float = 250.0,
    count: int = 2000,
    snr: float = 0.1,
    relion_iterations: int = sum(PHASES),
    relion_minutes: float | None = None,
    threads: int = 2,
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Run both programs and compare their maps with the truth.

    Parameters
    ----------
    particles, truth_map
        A STAR file and the map its images show; images are simulated if neither is given.
    diameter
        Particle diameter, A, given to RELION; cryorbit estimates it.
    count, snr
        Of the simulated set.
    relion_iterations
        RELION's three phases are shortened in proportion to so many.
    relion_minutes
        RELION is ended after so many minutes.
    threads
        Of either program.
    folder
        Where the jobs are kept; a temporary one if not given.
    output
        Where the numbers are written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (folder or Path(temporary)).absolute()
        scratch.mkdir(parents=True, exist_ok=True)
        data = _particle_set(particles, truth_map, scratch, (count, snr))
        rows = [measure_cryorbit(data, scratch, threads)]
        if shutil.which(RELION) is not None:
            phases = shortened(relion_iterations)
            limit = None if relion_minutes is None else 60 * relion_minutes
            rows.append(measure_relion(data, scratch, (phases, limit), diameter, threads))
    notes = [f"{threads} threads each; aligned with the truth, both hands tried; correlation without a mask"]
    if shutil.which(RELION) is None:
        notes.append(f"{RELION} is not installed: it was left out")
    show("Ab initio", rows, notes)
    save(output, "abinit_vs_relion", {"threads": threads, "notes": notes, "rows": rows})


def shortened(iterations: int) -> tuple[int, int, int]:
    """RELION's three phases in proportion, so many iterations in all."""
    first, last = (max(1, round(iterations * phase / sum(PHASES))) for phase in (PHASES[0], PHASES[2]))
    return first, max(1, iterations - first - last), last


def measure_cryorbit(data: ParticleSet, scratch: Path, threads: int) -> Record:
    """Cost and quality of ``cryorbit abinit`` with its own settings."""
    job = measured_abinit(data.star, scratch / "cryorbit", ("--threads", str(threads)))
    return {"program": "cryorbit", "iterations": "default", **told_cost(job.cost), **_against(data, job.map, scratch)}


def measure_relion(
    data: ParticleSet, scratch: Path, plan: tuple[tuple[int, int, int], float | None], diameter: float, threads: int
) -> Record:
    """Cost and quality of RELION's initial model; image names are relative to the folder of the STAR file.

    ``plan`` holds the lengths of its phases and the seconds after which it is ended.
    """
    phases, limit_s = plan
    prefix = scratch / "relion" / "run"
    prefix.parent.mkdir()
    command = relion_command(data.star, prefix, phases, diameter, threads)
    cost = run_measured(command, scratch / "relion.log", folder=data.star.parent, limit_s=limit_s)
    found = max(prefix.parent.glob("run_it*_class001.mrc"))
    done = int(found.name[len("run_it") :][:3])
    iterations = " + ".join(map(str, phases)) if done == sum(phases) else f"{done} of {sum(phases)}"
    return {"program": "RELION", "iterations": iterations, **told_cost(cost), **_against(data, found, scratch)}


def relion_command(
    star: Path, prefix: Path, phases: tuple[int, int, int], diameter: float, threads: int
) -> list[str | Path]:
    """The command that RELION's window makes of its defaults, with ``--pad 1``."""
    first, between, last = (str(phase) for phase in phases)
    return [
        *(RELION, "--i", star, "--o", prefix, "--ctf", "--K", "1", "--sym", "C1", "--particle_diameter", str(diameter)),
        *("--sgd", "--denovo_3dref", "--flatten_solvent", "--zero_mask"),
        *("--sgd_ini_iter", first, "--sgd_inbetween_iter", between, "--sgd_fin_iter", last, "--sgd_write_iter", "10"),
        *("--sgd_ini_resol", "35", "--sgd_fin_resol", "15", "--sgd_ini_subset", "100", "--sgd_fin_subset", "500"),
        # the window's angles and offsets are those after one oversampling, which halves both
        *("--oversampling", "1", "--healpix_order", "1", "--offset_range", "6", "--offset_step", "4"),
        *("--dont_combine_weights_via_disc", "--pool", "3", "--pad", "1", "--j", str(threads)),
    ]


def _particle_set(
    particles: Path | None, truth_map: Path | None, scratch: Path, simulation: tuple[int, float]
) -> ParticleSet:
    if particles is not None and truth_map is not None:
        return ParticleSet(particles.absolute(), truth_map.absolute())
    if particles is not None or truth_map is not None:
        raise SystemExit("give both --particles and --truth-map, or neither")
    return simulate_set(scratch / "set", *simulation)


def _against(data: ParticleSet, found: Path, scratch: Path) -> Record:
    return agreement(found, data.truth_map, scratch)


if __name__ == "__main__":
    cyclopts.run(main)
