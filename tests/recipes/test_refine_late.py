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
from cryorbit.recipes.particle_input import read_input
from cryorbit.recipes.refine.late import Epoch, average_statistics, follow_gradients, late_iteration, mini_batches
from cryorbit.recipes.refine.passes import pass_iteration
from cryorbit.recipes.refine.start import begin
from cryorbit.recipes.refine.state import State
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
def state(folder: Path) -> State:
    """What one pass leaves."""
    config = refine_config(folder / "particles.star", folder / "start.mrc", folder / "job", **ONE_PASS)
    given = read_input(config)
    return replace(pass_iteration(config, given, begin(config, given))[0], stage="late", iteration=0)


def epoch_of(folder: Path, state: State, changes: Mapping[str, Any] = MappingProxyType({}), **late: object) -> Epoch:
    settings = {**ONE_PASS, **changes, "late": late}
    config = refine_config(folder / "particles.star", folder / "start.mrc", folder / "job", **settings)
    return Epoch.of(config, read_input(config), state)


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.slow
def test_one_batch_of_all_images_is_the_m_step(folder: Path, state: State) -> None:
    epoch = epoch_of(folder, state, method="sem-vr", batches=1, rate=0.4)
    assert apart(average_statistics(epoch), epoch.maps.references) < 1e-5

    # what the half-sets share is the mean of their maps here, and of their statistics in the M-step: here shell 0,
    # which the soft window carries on to the next
    nothing_shared = {"passes": {**ONE_PASS["passes"], "join_resolution": 1000.0}}
    epoch = epoch_of(folder, state, nothing_shared, method="svrg", batches=1, rate=1.0)
    found, expected = follow_gradients(epoch), epoch.maps.references
    beyond = (shell_indices(found.shape[-1]) > 4).to(found)
    ours, theirs = (torch.fft.rfftn(volume, dim=(-3, -2, -1)).abs() * beyond for volume in (found, expected))
    assert apart(ours, theirs) < 1e-4


def test_batches_hold_every_image_once(folder: Path, state: State) -> None:
    epoch = epoch_of(folder, state, method="svrg", batches=5)
    batches = list(mini_batches(epoch))
    assert len(batches) == 5
    for half in range(2):
        images = torch.cat([batch[half] for batch in batches])
        expected = torch.nonzero(epoch.given.half_set == half)[:, 0]
        assert torch.equal(images.sort().values, expected)
    assert not torch.equal(torch.cat([batch[0] for batch in batches]).sort().values, batches[0][0])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sem-vr", "svrg"])
def test_the_stage_makes_the_map_likelier_and_can_be_resumed(folder: Path, method: str) -> None:
    late = {"method": method, "epochs": 2, "batches": 3}
    job, _ = refined(folder / "particles.star", folder / "start.mrc", folder / method, **ONE_PASS, late=late)
    lines = job.read_metrics()
    assert [line["stage"] for line in lines] == ["pass", "late", "late", "final"]
    likelihoods = [line["log_likelihood"] for line in lines]
    assert likelihoods[2] > likelihoods[1]
    assert likelihoods[3] > likelihoods[1]


@pytest.mark.slow
def test_an_epoch_after_which_the_likelihood_fell_is_taken_back(folder: Path, state: State) -> None:
    epoch = epoch_of(folder, state, method="svrg", batches=2)
    held = torch.zeros_like(state.references)
    before = replace(state, iteration=1, extra={"late": {"log_likelihood": 1e9, "references": held}})
    after, metrics = late_iteration(epoch.config, epoch.given, before)
    assert after.stage == "final"
    assert torch.equal(after.references, held)
    assert "late" not in after.extra
    assert metrics["taken_back"] == 1
