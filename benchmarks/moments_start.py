"""``cryorbit run`` from moments beside ``cryorbit run`` from an ab initio reconstruction, on the same simulated images.

    python benchmarks/moments_start.py --maps pka.mrc rdrp.mrc ribosome.mrc --folder kept
    python benchmarks/moments_start.py --maps pka.mrc rdrp.mrc ribosome.mrc --folder kept --views posed.star

Neither start sees the truth. The refined maps, unmasked and unsharpened, are compared with it; so is the map that
``cryorbit reconstruct`` makes of the true poses, which is the best to expect. A run succeeds if it comes within 5 % of
it.

Every finished job is kept with its cost: started again, the script goes on with the first one that is missing. A job
that was interrupted is done anew, so that its cost is that of the whole.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from jobs import Record, nearness, told_cost
from measure import CRYORBIT, run_measured
from simulated import ParticleSet, simulate_set
from tables import save, show

STARTS: dict[str, tuple[str, ...]] = {"abinit": (), "moments": ("--start", "moments")}
SUCCESS = 1.05
"""Resolution of a success, over that of the reconstruction from true poses."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of images, the folder of the jobs on them, and the seed of these."""

    folder: Path
    data: ParticleSet
    seed: int


def main(
    *,
    maps: Annotated[list[Path], Parameter(consume_multiple=True)],
    folder: Path,
    views: Path | None = None,
    seeds: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (0,),
    starts: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = tuple(STARTS),
    count: int = 10000,
    snr: float = 0.1,
    threads: int = 1,
    output: Path | None = None,
) -> None:
    """Go the whole way from each start; a row each.

    Parameters
    ----------
    maps
        True maps.
    folder
        Where images and jobs are kept.
    views
        STAR file whose orientations the images have; by default they are even.
    seeds
        Of the images, and of the jobs on them.
    starts
        ``abinit``, ``moments`` or both.
    count, snr
        Of the images of each set.
    threads
        Of each job.
    output
        Where the numbers are written.
    """
    rows: list[Record] = []
    for seed in seeds:
        for volume in maps:
            trial = prepare(folder.absolute(), volume.absolute(), views, seed, (count, snr))
            rows += [measured_run(trial, start, threads) for start in starts]
    show("From particles to a refined map", rows, [f"{count} images, signal-to-noise ratio {snr}, {threads} threads"])
    save(output, "moments_start", {"count": count, "snr": snr, "threads": threads, "rows": rows})


def prepare(folder: Path, volume: Path, views: Path | None, seed: int, simulation: tuple[int, float]) -> Trial:
    """The images of a map."""
    name = "even" if views is None else "real"
    place = folder / f"{volume.stem}_{name}_{seed}"
    options = () if views is None else ("--poses-from", views.absolute())
    data = simulate_set(place / "set", *simulation, seed=seed + 1, volume=volume, options=options)
    return Trial(place, data, seed)


def measured_run(trial: Trial, start: str, threads: int) -> Record:
    """What a run from this start cost and how near it came to the truth."""
    truth, shared = trial.data.star.with_name("truth.star"), ("--threads", str(threads), "--device", "cpu")
    best = kept(trial, "true_poses", ("reconstruct", truth, *shared), ".")
    words = ("run", trial.data.star, "--seed", str(trial.seed), *STARTS[start], *shared)
    row = kept(trial, start, words, "2_refine")
    success = row["FSC 0.5, A"] <= SUCCESS * best["FSC 0.5, A"]
    return {"images": trial.folder.name, "start": start, **row, "true poses, A": best["FSC 0.5, A"], "success": success}


def kept(trial: Trial, name: str, words: tuple[str | Path, ...], refined: str) -> Record:
    """A job, done now or earlier: what it cost, its verdict, and how near its map ``refined`` is to the truth."""
    job, record = trial.folder / name, trial.folder / f"{name}.json"
    if not record.exists():
        shutil.rmtree(job, ignore_errors=True)
        cost = run_measured([*CRYORBIT, *words, "-o", job], trial.folder / f"{name}.log")
        near = nearness(job / refined, trial.data.truth_map, trial.data.star.with_name("truth.star"))
        verdict = json.loads((job / "job.json").read_text())["result"]["verdict"]["level"]
        record.write_text(json.dumps({**near, "CPU s": told_cost(cost)["CPU s"], "verdict": verdict}))
    row: Record = json.loads(record.read_text())
    return row


if __name__ == "__main__":
    cyclopts.run(main)
