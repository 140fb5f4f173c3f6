"""Tables 3.1 and 3.2 of Paul (2024), and its cryo-EM of chapter 2, in small; training that is stopped and resumed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_studies import read_rows, run_study

from cryorbit.core.progress import SilentProgress, Stopped
from cryorbit.io.job_folder import JobFolder
from cryorbit.moments.training import Schedule
from cryorbit.studies.paul2024.ch2 import run as chapter_2
from cryorbit.studies.paul2024.ch3 import training
from cryorbit.studies.paul2024.ch3.training import ENCODER_FILE, SuperviseConfig
from cryorbit.studies.paul2024.mom_net.kam_loss import polar_errors
from cryorbit.studies.paul2024.moments import fits
from cryorbit.studies.paul2024.moments.data import (
    Images,
    exact_moments,
    four_gaussians,
    image_moments,
    neural_moments,
)
from cryorbit.studies.paul2024.moments.data_settings import BOTH_WAYS
from cryorbit.studies.paul2024.moments.fits import beside_truth, make_setting


class Impatient(SilentProgress):
    """Progress that always asks to stop."""

    def stop_requested(self) -> bool:
        """Yes."""
        return True


@pytest.mark.slow
def test_chapter_3_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # of few images the noise leaves one ring in two sets without power, on which networks then have no scale
    settings = {
        "training": {"steps": 3, "batch": 2, "test_count": 4},
        "images": 2000,
        "fit_steps": 3,
        "truth_steps": 3,
        "ways": BOTH_WAYS,
        "etas": (0.0, 2.0),
    }
    monkeypatch.setattr(fits, "beside_truth", lambda *_: {"resolution": 40.0, "correlation": 0.5})
    files = run_study("paul2024_ch3", tmp_path, **settings).files
    assert {"table_3_1.csv", "table_3_2.md", "figure_3_7.png"} < set(files)
    assert len([name for name in files if name.endswith(".mrc")]) == 8
    rows = read_rows(tmp_path / "table_3_1.csv")
    assert [(row["published for"], row["measured for"]) for row in rows] == [
        ("EMD-0409", "protein kinase A"),
        ("EMD-25892", "ribosome"),
    ]
    rows = read_rows(tmp_path / "table_3_2.csv")
    assert [row["framework"] for row in rows] == ["MoM-net", "chapter 2"] * 4
    assert [row["published Kam loss"] for row in rows[:4]] == ["0.012", "0.013", "0.008", "0.014"]
    assert all(0 < float(row["Kam loss"]) < 4 for row in rows)
    assert all(bool(row["error of the network for the truth"]) == (row["data"] != "images") for row in rows)
    # finished parts are not done again
    monkeypatch.setattr(fits, "match", None)
    before = (tmp_path / "table_3_2.csv").read_bytes()
    assert run_study("paul2024_ch3", tmp_path, **settings).files == files
    assert (tmp_path / "table_3_2.csv").read_bytes() == before


def test_cryoem_of_chapter_2_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chapter_2, "_study_encoders", lambda *_: None)
    monkeypatch.setattr(chapter_2, "_study_recovery", lambda *_: None)
    monkeypatch.setattr(fits, "beside_truth", lambda *_: {"resolution": 40.0, "correlation": 0.5})
    small = {"images": 100, "steps": 2, "truth_steps": 2, "radius": 4, "orders": 4}
    assert len(run_study("paul2024_ch2", tmp_path, cryoem=small).files) == 5
    rows = read_rows(tmp_path / "table_2_2_2_3.csv")
    assert [row["published resolution, Å"] for row in rows] == ["16.86", "21.52", "4.45"]
    assert [float(row["finest, Å"]) for row in rows] == [32.0, 89.6, 6.25]
    assert all(float(row["second moment"]) > 0 for row in rows)


def test_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "REPORTED", 2)
    config = {"radius": 4, "orders": 3, "cheap": True, "atoms": 3, "steps": 6, "batch": 2, "test_count": 3}

    def train(folder: Path, progress: SilentProgress) -> JobFolder:
        settings = SuperviseConfig(**config)
        known = (folder / "job.json").exists()
        job = JobFolder.open(folder) if known else JobFolder.create(folder, verb="reproduce", config=config)
        training.run(settings, job, progress)
        return job

    straight = train(tmp_path / "straight", SilentProgress())
    for _ in range(2):
        with pytest.raises(Stopped):
            train(tmp_path / "stopped", Impatient())
    resumed = train(tmp_path / "stopped", SilentProgress())
    assert resumed.read()["result"] == straight.read()["result"]
    assert resumed.read_metrics() == straight.read_metrics()
    one, two = (torch.load(job.path / ENCODER_FILE, weights_only=True) for job in (straight, resumed))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_images_have_the_moments_of_their_truth() -> None:
    truth = four_gaussians(4.0)
    setting = make_setting(4, 6, 32, 0.0, cheap=False)
    exact = exact_moments(truth, 32, setting)
    found = image_moments(truth, Images(32, 6000, 0.0, 1), setting, SilentProgress())
    assert max(float(each) for each in polar_errors(found, exact, setting.slices.radii)) < 0.03
    shifted = image_moments(truth, Images(32, 6000, 1.5, 1), setting, SilentProgress())
    blurred = exact.blurred(setting.pixel_radii, torch.full((1,), 1.5))
    assert max(float(each) for each in polar_errors(shifted, blurred, setting.slices.radii)) < 0.03
    assert min(float(each) for each in polar_errors(shifted, exact, setting.slices.radii)) > 0.1


def test_a_network_stands_for_the_truth_as_well_as_it_is_fitted() -> None:
    truth, setting = four_gaussians(4.0), make_setting(4, 6, 32, 0.0, cheap=True)
    images = Images(32, 0, 1.0, 0)
    exact = exact_moments(truth, 32, setting).blurred(setting.pixel_radii, torch.ones(1))
    errors = []
    for steps in (1, 60):
        found, error = neural_moments(truth, images, setting, Schedule(1, steps, 1, 1e-3))
        apart = polar_errors(found, exact, setting.slices.radii)
        errors.append((error, float(apart[1])))
    assert errors[1][0] < 0.3 * errors[0][0]
    assert errors[1][1] < errors[0][1]


def test_a_map_beside_itself_is_found_in_any_pose() -> None:
    truth = four_gaussians(4.0)
    turned = replace(truth, volume=truth.volume.rot90(1, (0, 1)).flip(2))
    found = beside_truth(truth.volume.float(), turned)
    assert found["correlation"] > 0.98
    assert found["resolution"] < 25 / 8
