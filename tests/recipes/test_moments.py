"""Maps from moments, from particles to files: quality on a small set, a job that is stopped, what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set

from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, SilentProgress, Stopped
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import ComparedMap
from cryorbit.io.job_run import running
from cryorbit.io.mrc import read_map
from cryorbit.moments.determinacy import Determinacy
from cryorbit.recipes.moments import MomentsConfig, MomentsResult, run
from cryorbit.recipes.moments.verdict import MomentEvidence, judge
from cryorbit.simulate.phantoms import blob_volume, random_blobs

BOX, DIAMETER = 32, 90.0
QUICK: dict[str, Any] = {
    "diameter": DIAMETER,
    "resolution": 36.0,
    "starts": 2,
    "kept": 1,
    "density_degree": 0,
    "coarse_steps": 60,
    "fine_steps": 60,
}


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand images of a lopsided phantom, views even."""
    folder = tmp_path_factory.mktemp("moments")
    volume = blob_volume(random_blobs(BOX, torch.Generator().manual_seed(5), 6), BOX)
    return make_set(folder, [volume], 1000, 1.0)


@pytest.fixture(scope="module")
def finished(particles: Path) -> tuple[JobFolder, MomentsResult]:
    return work(particles, particles.parent / "job", compare=particles.parent / "truth_1.mrc")


def work(
    particles: Path, output: Path, progress: Progress | None = None, **changes: Any
) -> tuple[JobFolder, MomentsResult]:
    """A quick job, or what is left of the one at ``output``."""
    config = MomentsConfig(particles=particles, output=output, **{**QUICK, **changes})
    if (output / "job.json").exists():
        job = JobFolder.open(output)
    else:
        job = JobFolder.create(output, verb="moments", config=config.model_dump(mode="json"), inputs=[particles])
    with running(job):
        result = run(config, job, progress or SilentProgress())
    return job, result


class StopAt(SilentProgress):
    """Asks to stop at a step, counted over all stages; keeps what it is told."""

    def __init__(self, step: int) -> None:
        self.count, self.step = 0, step
        self.notes: list[str] = []

    def note(self, sentence: str) -> None:
        """Keep it."""
        self.notes.append(sentence)

    def stop_requested(self) -> bool:
        """Tell whether this is the step."""
        self.count += 1
        return self.count == self.step


@pytest.mark.slow
def test_the_map_is_that_of_the_particle(particles: Path, finished: tuple[JobFolder, MomentsResult]) -> None:
    job, result = finished
    truth, _ = read_map(particles.parent / "truth_1.mrc")
    found, pixel_size = read_map(job.path / "map.mrc")
    assert pixel_size == pytest.approx(PIXEL_SIZE)
    comparison = compare_maps(found, truth, PIXEL_SIZE)
    assert comparison.resolution(0.5) < 40
    assert result.compared is not None
    assert result.compared.resolution_fsc05_A == pytest.approx(comparison.resolution(0.5), rel=0.02)
    assert result.eta_px == pytest.approx(1.0, abs=0.5)
    assert 0 < result.determinacy.first_and_second < result.determinacy.all_moments <= result.determinacy.coefficients
    assert result.starts == 4


@pytest.mark.slow
def test_every_file_is_there(finished: tuple[JobFolder, MomentsResult]) -> None:
    job, result = finished
    assert {path.name for path in job.path.iterdir()} == {
        *("job.json", "log.txt", "checkpoint", "particles.star", "set_aside.star", "density.csv", "spread.csv"),
        *("map.mrc", "map_half1_unfil.mrc", "map_half2_unfil.mrc", "mask.mrc", "fsc.star", "fsc.xml", "fsc.csv"),
    }
    density = pd.read_csv(job.path / "density.csv")
    assert list(density) == ["rot_deg", "tilt_deg", "weight", "density"]
    assert float((density["weight"] * density["density"]).sum()) == pytest.approx(1)
    np.testing.assert_allclose(density["density"], 1.0)
    spread = pd.read_csv(job.path / "spread.csv")
    assert list(spread) == ["frequency_per_A", "random_starts", "halves"]
    # what the innermost shells hold is certain, the finest detail is less so
    assert (spread.iloc[0, 1:] < spread.iloc[-1, 1:]).all()
    record = job.read()["result"]
    assert record["verdict"]["level"] in {"good", "doubtful", "bad"}
    assert record["resolution_A"] == pytest.approx(result.resolution_A)


@pytest.mark.slow
def test_a_stopped_job_goes_on_to_the_same_map(
    particles: Path, finished: tuple[JobFolder, MomentsResult], tmp_path: Path
) -> None:
    for step in (1, 3, 2):
        with pytest.raises(Stopped):
            work(particles, tmp_path / "job", StopAt(step))
    job, _ = work(particles, tmp_path / "job")
    assert (job.path / "map.mrc").read_bytes() == (finished[0].path / "map.mrc").read_bytes()


def test_symmetry_is_refused(particles: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without symmetry"):
        work(particles, tmp_path / "a", symmetry="C2")


def test_few_particles_are_a_warning_before_the_work(particles: Path, tmp_path: Path) -> None:
    watcher = StopAt(1)
    with pytest.raises(Stopped):
        work(particles, tmp_path / "job", watcher)
    assert any(note.startswith("With 1,000 particles moments may not determine a map") for note in watcher.notes)


@pytest.mark.slow
def test_a_job_finished_early_makes_a_map_of_the_fits_that_are_there(particles: Path, tmp_path: Path) -> None:
    for step in (1, 3):
        with pytest.raises(Stopped):
            work(particles, tmp_path / "job", StopAt(step), starts=3)
    job = JobFolder.open(tmp_path / "job")
    config = MomentsConfig(particles=particles, output=tmp_path / "job", **{**QUICK, "starts": 3})
    with pytest.raises(InputError, match="no map yet"):
        run(config, replace(job, finish_now=True), SilentProgress())
    with pytest.raises(Stopped):
        work(particles, tmp_path / "job", StopAt(3), starts=3)
    result = run(config, replace(job, finish_now=True), SilentProgress())
    assert result.starts < 6
    assert any("finished early" in note for note in result.notes)


def evidence(**changes: Any) -> MomentEvidence:
    """What a good map rests on, but for the changes."""
    usual: dict[str, Any] = {"resolution_A": 40.0, "finest_A": 35.0, "misfit": 1.2, "density_spread": 0.6}
    usual |= {"determinacy": Determinacy(220, 156, 52), "agreeing_starts": 7, "starts": 8}
    return MomentEvidence(**{**usual, **changes})


@pytest.mark.parametrize(("resolution", "level"), [(40.0, "good"), (80.0, "doubtful"), (150.0, "bad")])
def test_the_verdict_follows_the_agreement_of_the_halves(resolution: float, level: str) -> None:
    verdict = judge(evidence(resolution_A=resolution, density_spread=0.1))
    assert verdict.level == level
    assert ("lead to different maps" in verdict.sentence) == (level == "bad")
    assert any("the map rests on third moments" in reason for reason in verdict.reasons)
    assert any("156 of 220 combinations" in reason and "52 of them" in reason for reason in verdict.reasons)
    assert any(reason.startswith("7 of 8 fits of the inner rings") and "56 Å" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(("resolution", "level"), [(40.0, "good"), (80.0, "doubtful"), (150.0, "bad")])
def test_the_verdict_follows_the_comparison_with_another_map(resolution: float, level: str) -> None:
    other = ComparedMap(map="class_1.mrc", resolution_fsc05_A=resolution, correlation=0.8, hand_flipped=True)
    verdict = judge(evidence(compared=other))
    assert verdict.level == level
    assert ("it differs from class_1.mrc" in verdict.sentence) == (level != "good")
    assert any(f"agree to {resolution:.0f} Å" in reason and "mirrored" in reason for reason in verdict.reasons)


def test_doubts_of_the_particles_are_those_of_the_map() -> None:
    verdict = judge(evidence(doubts=["the images were masked"]))
    assert verdict.level == "doubtful"
    assert "read the reasons" in verdict.sentence
    assert "the images were masked" in verdict.reasons


def test_moments_that_do_not_fit_make_a_map_worthless() -> None:
    verdict = judge(evidence(misfit=8.0))
    assert verdict.level == "bad"
    assert "does not hold" in verdict.sentence
