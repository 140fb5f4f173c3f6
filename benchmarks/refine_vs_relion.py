"""``cryorbit refine`` and RELION 3.1's auto-refine on the same particles and start map, one after the other.

    python benchmarks/refine_vs_relion.py --particles set/particles.star --start-map abinit/class_1.mrc \
        --truth-map set/truth_1.mrc --truth-poses set/truth.star --output benchmarks/results/refine_vs_relion.json

RELION runs as its window "3D auto-refine" would start it (half-sets split at random, 30 A low-pass filter, first
iteration by correlation, 7.5 degrees, offsets to 5 px in steps of 2 px, one oversampling, local searches from 1.8
degrees), with one leader and two workers, as its half-sets need. ``--relion-minutes`` ends it early, and
the row says so; what its last iteration left is what is compared. Neither program sees the truth.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import cyclopts

from jobs import Record, nearness, told_cost
from measure import CRYORBIT, Cost, run_measured
from tables import save, show

RELION, MPI = "relion_refine_mpi", "mpirun"


def main(
    *,
    particles: Path,
    start_map: Path,
    truth_map: Path,
    truth_poses: Path,
    diameter: float = 250.0,
    relion_minutes: float | None = None,
    relion: bool = True,
    method: str = "em",
    threads: int = 2,
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Run both programs and compare their maps with the truth.

    Parameters
    ----------
    particles, start_map
        What is refined.
    truth_map, truth_poses
        The map that the images show, and a STAR file of their poses.
    diameter
        Particle diameter, A, given to RELION; cryorbit estimates it.
    relion_minutes
        RELION is ended after so many minutes; by default it ends when it has converged.
    relion
        Whether RELION is run, if it is installed.
    method
        Of cryorbit: em or psgd.
    threads
        Of cryorbit, and of both of RELION's workers together.
    folder
        Where the jobs are kept; a temporary one if not given.
    output
        Where the numbers are written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (folder or Path(temporary)).absolute()
        scratch.mkdir(parents=True, exist_ok=True)
        truth = (truth_map.absolute(), truth_poses.absolute())
        inputs = (particles.absolute(), start_map.absolute())
        rows = [measure_cryorbit(inputs, truth, scratch, method, threads)]
        notes = ["aligned with the truth, both hands tried"]
        if relion and shutil.which(RELION) is not None:
            rows.append(measure_relion(inputs, truth, scratch, relion_minutes, diameter, threads))
            ratio = float(rows[1]["CPU s"]) / float(rows[0]["CPU s"])
            notes.append(f"RELION took {ratio:.1f} times the CPU time of cryorbit")
        else:
            notes.append(f"{RELION} was left out")
        show("Refinement", rows, notes)
        save(output, "refine_vs_relion", {"threads": threads, "notes": notes, "rows": rows})


def measure_cryorbit(
    inputs: tuple[Path, Path], truth: tuple[Path, Path], scratch: Path, method: str, threads: int
) -> Record:
    """Cost and quality of ``cryorbit refine`` with its own settings."""
    folder = scratch / f"cryorbit_{method}"
    words = ("refine", inputs[0], "--map", inputs[1], "-o", folder, "--method", method, "--threads", str(threads))
    cost = run_measured([*CRYORBIT, *words, "--device", "cpu"], scratch / f"cryorbit_{method}.log")
    passes = len((folder / "metrics.jsonl").read_text().splitlines())
    return _row(f"cryorbit {method}", passes, cost, folder, truth)


def measure_relion(
    inputs: tuple[Path, Path],
    truth: tuple[Path, Path],
    scratch: Path,
    minutes: float | None,
    diameter: float,
    threads: int,
) -> Record:
    """Cost and quality of RELION's auto-refine; image names are relative to the folder of the STAR file."""
    prefix = scratch / "relion" / "run"
    prefix.parent.mkdir()
    command = relion_command(inputs, prefix, diameter, threads)
    limit = None if minutes is None else 60 * minutes
    log = scratch / "relion.log"
    cost = run_measured(command, log, folder=inputs[0].parent, limit_s=limit)
    done = len(list(prefix.parent.glob("run_it*_half1_class001.mrc"))) - 1
    if done < 1:
        raise RuntimeError(f"RELION did not end an iteration; see {log}")
    converged = prefix.with_name("run_class001.mrc").exists()
    names = ("run_class001.mrc", "run_data.star")
    if not converged:
        names = (f"run_it{done:03d}_half1_class001.mrc", f"run_it{done:03d}_data.star")
    result = scratch / "relion_result"
    result.mkdir()
    for name, link in zip(names, ("map.mrc", "particles.star"), strict=True):
        (result / link).symlink_to(prefix.with_name(name))
    return _row("RELION" if converged else "RELION, ended early", done, cost, result, truth)


def relion_command(inputs: tuple[Path, Path], prefix: Path, diameter: float, threads: int) -> list[str | Path]:
    """The command that RELION's window makes of its defaults."""
    particles, start_map = inputs
    return [
        *(MPI, "--allow-run-as-root", "--oversubscribe", "-n", "3", RELION, "--i", particles, "--ref", start_map),
        *("--o", prefix, "--auto_refine", "--split_random_halves", "--firstiter_cc", "--ini_high", "30", "--ctf"),
        *("--particle_diameter", str(diameter), "--flatten_solvent", "--zero_mask", "--sym", "C1", "--norm", "--scale"),
        *("--healpix_order", "2", "--auto_local_healpix_order", "4", "--offset_range", "5", "--offset_step", "2"),
        *("--oversampling", "1", "--low_resol_join_halves", "40", "--dont_combine_weights_via_disc", "--pool", "3"),
        *("--pad", "2", "--j", str(max(1, threads // 2))),
    ]


def _row(program: str, passes: int, cost: Cost, result: Path, truth: tuple[Path, Path]) -> Record:
    """What a program found, from a folder with ``map.mrc`` and ``particles.star``."""
    return {"program": program, "passes": passes, **told_cost(cost), **nearness(result, *truth)}


if __name__ == "__main__":
    cyclopts.run(main)
