"""Late mini-batches of reduced variance: with all images they are the M-step, and they make maps likelier."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from abinit_jobs import make_set
from refine_jobs import ONE_PASS, low_passed_map, refine_config, refined

from cryorbit.fourier.shells import shell_indices
from cryorbit.inference.constraints import windowed
from cryorbit.recipes.dataset import read_dataset
from cryorbit.recipes.refine.late import LateEpoch, late_iteration
from cryorbit.recipes.refine.passes import joined, pass_iteration
from cryorbit.recipes.refine.start import begin
from cryorbit.recipes.refine.state import Fallback, RefineState
from cryorbit.volumes.voxel import resample
from phantom_sets import sharp_phantom

BOX, COUNT = 32, 160


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of one phantom, and a start map without detail."""
    folder = tmp_path_factory.mktemp("late")
    make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], COUNT, 0.5)
    low_passed_map(folder / "truth_1.mrc", folder / "start.mrc")
    return folder


@pytest.fixture(scope="module")
def state(folder: Path) -> RefineState:
    """What one pass leaves."""
    config = refine_config(folder / "particles.star", folder / "start.mrc", folder / "job", **ONE_PASS)
    dataset = read_dataset(config)
    return replace(pass_iteration(config, dataset, begin(config, dataset))[0], stage="late", iteration=0)


def epoch_of(
    folder: Path, state: RefineState, changes: Mapping[str, Any] = MappingProxyType({}), **late: object
) -> LateEpoch:
    settings = {"method": "em", **ONE_PASS, **changes, "late": late}
    config = refine_config(folder / "particles.star", folder / "start.mrc", folder / "job", **settings)
    return LateEpoch.of(config, read_dataset(config), state)


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


def one_batch(method: str, **settings: object) -> dict[str, Any]:
    return {"method": method, "batches": 1, "settings": settings}


@pytest.mark.slow
def test_one_batch_of_all_images_is_the_m_step(folder: Path, state: RefineState) -> None:
    epoch = epoch_of(folder, state, **one_batch("sem-vr-statistics", step_size=0.4))
    # the soft mask is applied once more at the end
    expected = windowed(joined(epoch.config, epoch.dataset, epoch.maps.references), epoch.oracle.mask)
    assert apart(epoch.walked(), expected) < 1e-4

    # what the half-sets share is the mean of their maps here, and of their statistics in the M-step: here shell 0,
    # which the soft window carries on to the next
    nothing_shared = {"passes": {**ONE_PASS["passes"], "join_resolution": 1000.0}}
    epoch = epoch_of(folder, state, nothing_shared, **one_batch("svrg", step_size=1.0))
    found, expected = epoch.walked(), epoch.maps.references
    beyond = (shell_indices(found.shape[-1]) > 4).to(found)
    ours, theirs = (torch.fft.rfftn(volume, dim=(-3, -2, -1)).abs() * beyond for volume in (found, expected))
    assert apart(ours, theirs) < 1e-4


@pytest.mark.slow
def test_mini_batches_are_measured_in_their_part_of_all(folder: Path, state: RefineState) -> None:
    """Fields of parts with as many images of each half-set average to that of all images."""
    oracle = epoch_of(folder, state, **one_batch("svrg")).oracle
    x = resample(state.references, oracle.grid.size)
    numbers = torch.arange(oracle.num_terms).split([len(images) for images in oracle.images])
    parts = [torch.cat([half[start::2] for half in numbers]) for start in (0, 1)]
    mean = torch.stack([oracle.evaluate(x, part).field for part in parts]).mean(0)
    assert apart(mean, oracle.evaluate(x, None).field) < 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sem-vr-statistics", "svrg"])
def test_the_stage_makes_the_map_likelier_and_can_be_resumed(folder: Path, method: str) -> None:
    late = {"method": method, "epochs": 2, "batches": 3}
    job, _ = refined(
        folder / "particles.star", folder / "start.mrc", folder / method, method="em", **ONE_PASS, late=late
    )
    lines = job.read_metrics()
    assert [line["stage"] for line in lines] == ["pass", "late", "late", "final"]
    likelihoods = [line["log_likelihood"] for line in lines]
    assert likelihoods[2] > likelihoods[1]
    assert likelihoods[3] > likelihoods[1]


@pytest.mark.slow
def test_an_epoch_after_which_the_likelihood_fell_is_taken_back(folder: Path, state: RefineState) -> None:
    epoch = epoch_of(folder, state, method="svrg", batches=2)
    held = torch.zeros_like(state.references)
    before = replace(state, iteration=1, fallback=Fallback(1e9, held))
    after, metrics = late_iteration(epoch.config, epoch.dataset, before)
    assert after.stage == "final"
    assert torch.equal(after.references, held)
    assert after.fallback is None
    assert metrics["taken_back"] == 1
