"""Classes searched together from random starts: a stopped job ends the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from abinit_jobs import SHORTEST, StopsAfter, make_set, run_job

from cryorbit.core.progress import Stopped
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
