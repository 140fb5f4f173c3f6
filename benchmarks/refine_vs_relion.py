"""``cryorbit refine`` and RELION 3.1's auto-refine on the same particles and start map, one after the other.

    python benchmarks/refine_vs_relion.py --particles set/particles.star --start-map abinit/class_1.mrc \
        --truth-map set/truth_1.mrc --truth-poses set/truth.star --output benchmarks/results/refine_vs_relion.json

RELION runs as its window would start it (``relion.py``). ``--relion-minutes`` ends it early, and the row says so; what
its last iteration left is what is compared. Neither program sees the truth.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cyclopts

from jobs import Record, nearness, told_cost
from measure import CRYORBIT, Cost, run_measured
from relion import AutoRefine, auto_refine, is_there
from tables import save, show


def main(
    *,
    particles: Path,
    start_map: Path,
    truth_map: Path,
    truth_poses: Path,
    diameter: float = 250.0,
    symmetry: str = "C1",
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
    symmetry
        Point group; pose errors are those to the nearest of its copies.
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
        rows = [measure_cryorbit(inputs, truth, scratch, method, symmetry, threads)]
        notes = ["aligned with the truth, both hands tried"]
        if relion and is_there():
            rows.append(
                measure_relion(AutoRefine(*inputs, diameter, symmetry), truth, scratch, relion_minutes, threads)
            )
            ratio = float(rows[1]["CPU s"]) / float(rows[0]["CPU s"])
            notes.append(f"RELION took {ratio:.1f} times the CPU time of cryorbit")
        else:
            notes.append("RELION was left out")
        show("Refinement", rows, notes)
        save(output, "refine_vs_relion", {"threads": threads, "notes": notes, "rows": rows})


def measure_cryorbit(
    inputs: tuple[Path, Path], truth: tuple[Path, Path], scratch: Path, method: str, symmetry: str, threads: int
) -> Record:
    """Cost and quality of ``cryorbit refine`` with its own settings."""
    folder = scratch / f"cryorbit_{method}"
    words = ("refine", inputs[0], "--map", inputs[1], "-o", folder, "--method", method, "--threads", str(threads))
    words += ("--symmetry", symmetry)
    cost = run_measured([*CRYORBIT, *words, "--device", "cpu"], scratch / f"cryorbit_{method}.log")
    passes = len((folder / "metrics.jsonl").read_text().splitlines())
    return _row(f"cryorbit {method}", passes, cost, folder, truth, symmetry)


def measure_relion(
    job: AutoRefine, truth: tuple[Path, Path], scratch: Path, minutes: float | None, threads: int
) -> Record:
    """Cost and quality of RELION's auto-refine."""
    found = auto_refine(job, scratch, threads, minutes)
    result = scratch / "relion_result"
    result.mkdir()
    for file, link in ((found.map, "map.mrc"), (found.particles, "particles.star")):
        (result / link).symlink_to(file)
    name = "RELION" if found.converged else "RELION, ended early"
    return _row(name, found.iterations, found.cost, result, truth, job.symmetry)


def _row(program: str, passes: int, cost: Cost, result: Path, truth: tuple[Path, Path], symmetry: str) -> Record:
    """What a program found, from a folder with ``map.mrc`` and ``particles.star``."""
    return {"program": program, "passes": passes, **told_cost(cost), **nearness(result, *truth, symmetry)}


if __name__ == "__main__":
    cyclopts.run(main)
