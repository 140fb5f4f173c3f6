"""Where the time of a refinement goes, and how many poses it evaluates for an image.

    python benchmarks/refine_profile.py --particles set/particles.star --start-map abinit/class_1.mrc \
        --output benchmarks/results/refine_profile.json

Scores and interpolation are one kernel and one line of the table: slices are read, used and forgotten.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import cyclopts
import torch

from cryorbit.api.devices import limit_threads
from cryorbit.core.progress import SilentProgress
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference import candidates, global_search, local_search
from cryorbit.io.job_folder import JobFolder
from cryorbit.recipes.refine import RefineConfig, e_step, passes, run
from cryorbit.volumes.voxel import VoxelGrid, VoxelModel
from stopwatch import watching
from tables import Row, save, show

STAGES = {
    "read": [(ParticleSource, "read")],
    "image FFT, CTF, whitening": [(ParticleSource, "observe")],
    "volume FFT": [(VoxelGrid, "model"), (global_search, "grid_slices")],
    "search of all poses": [(global_search, "pose_posterior")],
    "gather and score": [(VoxelModel, "scores")],
    "slices of likely poses": [(VoxelModel, "slices")],
    "insert": [(VoxelGrid, "add")],
    "M-step": [(passes, "gold_standard_maps")],
    "pruning, subdivision, sums": [(e_step, "refine_poses")],
}


def main(
    *,
    particles: Path,
    start_map: Path,
    max_resolution: float | None = None,
    threads: int | None = None,
    output: Path | None = None,
) -> None:
    """Refine once, timing the parts of the E-step and the M-step.

    Parameters
    ----------
    particles, start_map
        What is refined.
    max_resolution
        Finest resolution, A, for a shorter run.
    threads
        CPU threads.
    output
        Where the numbers are written.
    """
    limit_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {"particles": particles.absolute(), "maps": (start_map.absolute(),)}
        config = RefineConfig(**settings, output=Path(folder) / "job", max_resolution=max_resolution, threads=threads)
        job = JobFolder.create(config.output, verb="refine", config=config.model_dump(mode="json"))
        began = time.perf_counter()
        with watching(STAGES) as seconds, counting() as scored:
            run(config, job, SilentProgress())
        whole = time.perf_counter() - began
        metrics = job.read_metrics()
    times = {stage: seconds.get(stage, 0.0) for stage in STAGES}
    times["rest: checks, masks, files"] = whole - sum(times.values())
    shares: list[Row] = [{"stage": s, "s": spent, "share": f"{spent / whole:.0%}"} for s, spent in times.items()]
    shares.append({"stage": "all", "s": whole, "share": "100%"})
    rows: list[Row] = [
        {
            "pass": number,
            "resolution, A": entry["resolution_A"],
            "searched everywhere": f"{entry['searched_everywhere']:.0%}",
            "s": entry["seconds"],
            "ms an image": 1e3 * entry["seconds"] / entry["batch"],
        }
        for number, entry in enumerate(metrics)
    ]
    levels: list[Row] = [
        {"radius, px": radius, "candidates an image": count / images, "poses an image": poses / images}
        for radius, (images, count, poses) in sorted(scored.items())
    ]
    show("Stages", shares, [f"{torch.get_num_threads()} threads"])
    show("Passes", rows)
    show("Candidates at each radius of scores", levels)
    save(output, "refine_profile", {"stages": shares, "passes": rows, "levels": levels})


@contextmanager
def counting() -> Iterator[dict[int, tuple[int, int, int]]]:
    """Count images, candidates and poses that are scored at each radius while the block runs."""
    found: dict[int, tuple[int, int, int]] = {}
    score: Callable[..., candidates.CandidateScores] = local_search.score_candidates

    def counted(cells: candidates.Candidates, observed: Any, model: Any, disc: Any, lattice: Any, prior: Any) -> Any:
        key = round(disc.radius)
        images, count, poses = found.get(key, (0, 0, 0))
        more = len(cells.image)
        found[key] = (images + cells.images, count + more, poses + more * len(lattice))
        return score(cells, observed, model, disc, lattice, prior)

    with mock.patch.object(local_search, "score_candidates", counted):
        yield found


if __name__ == "__main__":
    cyclopts.run(main)
