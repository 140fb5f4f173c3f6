"""The ab initio algorithm of the notes on cryoSPARC as printed, beside the default, on the same particles and seeds.

    python benchmarks/printed_algorithm.py SET ... --folder jobs --output benchmarks/results/printed_algorithm.json

A set is a folder as `cryorbit simulate` leaves it; it has as many classes as true maps, truth_1.mrc, truth_2.mrc, ...
Both arms of a set and a seed follow each other, whole jobs of `cryorbit abinit` with nothing but ``--preset`` between
them. Rows that the output holds already are not run again. A row tells, for each class, the resolution at which its
map and the true map that it agrees with best correlate by 0.5; the fraction of particles in the right class; whether
the job succeeded: every true map is met by a class to a sixth of the diameter, and 9 of 10 particles are in theirs.
"""

from __future__ import annotations

import json
from pathlib import Path

import cyclopts

from jobs import Record
from measure import CRYORBIT, run_measured
from tables import Row, save, show

ARMS = {"default": (), "printed": ("--preset", "cryosparc2017")}
PART_OF_DIAMETER = 6
"""As the verdict on starts that agree has it."""
LEAST_ACCURACY = 0.9
KEY = ("set", "seed", "arm")


def main(
    *sets: Path,
    seeds: int = 2,
    arms: tuple[str, ...] = tuple(ARMS),
    folder: Path = Path("printed_algorithm"),
    output: Path,
) -> None:
    """Run both arms on all sets, the first seed of each before the second.

    Parameters
    ----------
    sets
        Folders of `cryorbit simulate`.
    seeds
        Random starts, each a job of its own.
    arms
        Which of the two.
    folder
        Where the jobs are kept.
    output
        Where the rows are written, and those that are there are read from.
    """
    rows: list[Row] = json.loads(output.read_text())["rows"] if output.exists() else []
    done = {tuple(row[name] for name in KEY) for row in rows}
    for seed in range(seeds):
        for each in sets:
            for arm in arms:
                if (each.name, seed, arm) not in done:
                    rows = [*rows, measure_arm(each.absolute(), seed, arm, folder.absolute())]
                    save(output, "printed_algorithm", {"rows": rows})
    show("Printed and default ab initio", rows)


def measure_arm(particles: Path, seed: int, arm: str, folder: Path) -> Row:
    """A job, and how far it is from the truth."""
    truths = sorted(particles.glob("truth_*.mrc"))
    job = folder / f"{particles.name}_{seed}_{arm}"
    words = ("abinit", particles / "particles.star", "-o", job, "--classes", str(len(truths)), "--seed", str(seed))
    cost = run_measured(
        [*CRYORBIT, *words, "--device", "cpu", "--threads", "1", *ARMS[arm]], job.with_name(f"{job.name}.log")
    )
    measured = evaluated(job, truths, particles / "truth.star")
    diameter = json.loads((job / "job.json").read_text())["result"]["diameter_A"]
    return {
        "set": particles.name,
        "classes": len(truths),
        "seed": seed,
        "arm": arm,
        **measured,
        "success": succeeded(measured, len(truths), diameter / PART_OF_DIAMETER),
        "CPU s": round(cost.cpu_s),
    }


def evaluated(job: Path, truths: list[Path], poses: Path) -> Record:
    """Of each class, the number of the true map it shows and the resolution to which it does; and the accuracy."""
    file = job.with_name(f"{job.name}_evaluation.json")
    file.unlink(missing_ok=True)
    words = ("evaluate", job, "--truth-map", *truths, "--truth-poses", poses, "--json", file)
    run_measured([*CRYORBIT, *words], file.with_suffix(".log"))
    record = json.loads(file.read_text())
    return {
        "shows": [truths.index(Path(each["truth"])) + 1 for each in record["classes"]],
        "FSC 0.5, A": [round(each["resolution_fsc05_A"], 1) for each in record["classes"]],
        "accuracy": record["class_accuracy"],
    }


def succeeded(measured: Record, classes: int, coarsest: float) -> bool:
    """Whether every true map is met by a class, and nearly every particle in its class."""
    pairs = zip(measured["shows"], measured["FSC 0.5, A"], strict=True)
    met = {truth for truth, resolution in pairs if resolution <= coarsest}
    return len(met) == classes and (classes == 1 or measured["accuracy"] >= LEAST_ACCURACY)


if __name__ == "__main__":
    cyclopts.run(main)
