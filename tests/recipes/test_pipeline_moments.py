"""The whole way from moments: stopped in two stages, resumed, and a map of the particle in the end."""

from pathlib import Path
from typing import Any

import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set

from cryorbit.core.progress import SilentProgress, Stopped
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Result
from cryorbit.io.job_run import running
from cryorbit.io.mrc import read_map
from cryorbit.recipes.config import load_config
from cryorbit.recipes.pipeline import PipelineConfig, run
from cryorbit.simulate.phantoms import blob_volume, random_blobs

BOX = 32
SETTINGS: dict[str, Any] = {
    "start": "moments",
    "diameter": 90.0,
    "threads": 1,
    "max_resolution": 20.0,
    "moments": {"resolution": 40.0, "starts": 1, "kept": 1, "density_degree": 0, "coarse_steps": 40, "fine_steps": 20},
    "refine": {
        "method": "em",
        "passes": {"iterations": 2},
        "poses": {"angular_spacing": 20.0, "cells": 8, "check_images": 20},
    },
}


class StopIn(SilentProgress):
    """Asks to stop at the first opportunity in a stage."""

    def __init__(self, title: str) -> None:
        self.title, self.reached = title, False

    def note(self, sentence: str) -> None:
        """Watch for the stage."""
        self.reached |= sentence.startswith(self.title)

    def stop_requested(self) -> bool:
        """Tell whether the stage has begun."""
        return self.reached


def work(job: JobFolder, config: PipelineConfig, progress: SilentProgress) -> Result:
    with running(job):
        return run(config, job, progress)


@pytest.mark.slow
def test_a_run_from_moments_goes_on_where_it_was_and_finds_the_particle(tmp_path: Path) -> None:
    volume = blob_volume(random_blobs(BOX, torch.Generator().manual_seed(5), 6), BOX)
    particles = make_set(tmp_path, [volume], 400, 1.0)
    config = load_config(PipelineConfig, None, {"particles": particles, "output": tmp_path / "job", **SETTINGS})
    job = JobFolder.create(config.output, verb="run", config=config.model_dump(mode="json"), inputs=[particles])
    for title in ("Moments", "Refinement"):
        with pytest.raises(Stopped):
            work(job, config, StopIn(title))
    begun = (job.path / "1_moments" / "map.mrc").stat().st_mtime_ns
    result = work(job, config, SilentProgress())
    assert [stage.folder for stage in job.read_result(Result).stages] == ["1_moments", "2_refine", "3_postprocess"]
    assert (job.path / "1_moments" / "map.mrc").stat().st_mtime_ns == begun
    assert result.verdict is not None
    assert any(reason.startswith("moments: ") for reason in result.verdict.reasons)
    truth, _ = read_map(tmp_path / "truth_1.mrc")
    refined, _ = read_map(job.path / "2_refine" / "map.mrc")
    assert compare_maps(refined, truth, PIXEL_SIZE).resolution(0.5) < 22
