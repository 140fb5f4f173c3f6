"""Classes searched together from random starts, end to end: they are told apart, and a stopped job ends the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from abinit_jobs import PIXEL_SIZE, SHORTEST, StopsAfter, make_set, run_job
from test_abinit_classes import column

from cryorbit.core.progress import Stopped
from cryorbit.evaluation.classes import class_accuracy
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.io.mrc import read_map
from cryorbit.recipes.abinit import AbinitConfig
from cryorbit.recipes.presets import read_preset
from phantom_sets import sharp_phantom

pytestmark = pytest.mark.slow

PRINTED: dict[str, Any] = read_preset("abinit", AbinitConfig, "cryosparc2017")["search"]
SHORT_PRINTED = {**PRINTED, "iterations": 6, "angular_spacing": 30.0, "batch_first": 10, "batch_last": 15}


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two particles that have nothing in common."""
    generator = torch.Generator().manual_seed(8)
    volumes = [sharp_phantom(generator), sharp_phantom(generator)]
    return make_set(tmp_path_factory.mktemp("joint"), volumes, 500, 0.5)


def test_two_particles_searched_together_come_apart(particles: Path, tmp_path: Path) -> None:
    search = {"iterations": 60, "batch_first": 60, "batch_last": 100, "volumes": "classes"}
    job, result = run_job(particles, tmp_path / "job", classes=2, search=search)
    assert {entry["stage"] for entry in job.read_metrics()} == {"search", "grow", "judge", "symmetrise", "finish"}
    predicted = column(job.path / "particles.star", "rlnClassNumber")
    assert class_accuracy(predicted, column(particles.with_name("truth.star"), "rlnClassNumber")) > 0.9
    found = [read_map(job.path / each.map)[0] for each in result.classes]
    for number in (1, 2):
        truth, _ = read_map(particles.with_name(f"truth_{number}.mrc"))
        assert min(compare_maps(each, truth, PIXEL_SIZE).resolution(0.5) for each in found) < 17


def test_a_stopped_search_of_all_classes_goes_on_to_the_same_maps(particles: Path, tmp_path: Path) -> None:
    """In the middle of the search, with running sums of residuals, and of the growth."""
    settings = {**SHORTEST, "search": SHORT_PRINTED, "classes": 2, "limit": 200}

    straight, _ = run_job(particles, tmp_path / "straight", **settings)
    for steps in (3, 4):
        with pytest.raises(Stopped):
            run_job(particles, tmp_path / "stopped", StopsAfter(steps), **settings)
    stopped, _ = run_job(particles, tmp_path / "stopped", **settings)
    for name in ("class_1.mrc", "class_2.mrc", "particles.star"):
        assert (stopped.path / name).read_bytes() == (straight.path / name).read_bytes(), name
    searched = [entry for entry in straight.read_metrics() if entry["stage"] == "search"]
    assert len(searched) == SHORT_PRINTED["iterations"]
    assert all(len(entry["class_fractions"]) == 2 for entry in searched)
