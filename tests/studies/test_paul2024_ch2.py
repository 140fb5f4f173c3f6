"""Table 2.1 and figure 2.4 of Paul (2024) in small."""

from pathlib import Path

import pytest
import torch
from small_studies import read_rows, run_study

from cryorbit.io.job_folder import JobFolder
from cryorbit.moments.mixtures import draw_examples
from cryorbit.studies.paul2024.ch2 import cryoem
from cryorbit.studies.paul2024.ch2.recovery import Course, observe_moments, summarise


@pytest.mark.slow
def test_chapter_2_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cryoem, "run", lambda *_: None)
    settings = {
        "spectral": 2,
        "training": {"steps": 4, "test_count": 20, "length": 12},
        "recovery": {"sets": 1, "observations": 2000, "steps": 4, "every": 2},
    }
    files = run_study("paul2024_ch2", tmp_path, **settings).files
    assert set(files) == {*("table_2_1.csv", "table_2_1.md", "recovery.csv", "recovery.md", "figure_2_4.png")}
    rows = read_rows(tmp_path / "table_2_1.csv")
    assert [row["method"] for row in rows] == ["published", "equivariant", "appendix", "spectral method"] * 3
    assert (rows[4]["signal, test"], rows[4]["density, test"]) == ("0.170", "0.141")
    assert all(float(row["signal, test"]) < 2 for row in rows)
    found = {row["method"]: row for row in read_rows(tmp_path / "recovery.csv")}
    assert list(found) == ["encoders, trained", "encoders, untrained", "spectral method", "least squares"]
    assert float(found["least squares"]["moments, end"]) < float(found["encoders, untrained"]["moments, end"])
    # trainings are jobs, which are not done twice
    record = JobFolder.open(tmp_path / "equivariant_2").read()
    assert record["status"] == "finished"
    assert run_study("paul2024_ch2", tmp_path, **settings).files == files
    assert JobFolder.open(tmp_path / "equivariant_2").read() == record


def test_streamed_observations_have_the_moments_of_their_model() -> None:
    truth = draw_examples(1, 2, 6, torch.Generator().manual_seed(0))
    sums = observe_moments(truth, 60_000, torch.Generator().manual_seed(1))
    found, errors = sums.moments(), sums.standard_errors()
    assert sums.count == 60_000
    assert ((found.first - truth.moments.first[0]) / errors.first).abs().max() < 4
    assert ((found.second - truth.moments.second[0]) / errors.second).abs().max() < 4


def test_the_summary_tells_when_training_has_caught_up() -> None:
    def course(method: str, *moments: float) -> Course:
        errors = torch.tensor([[each, 2 * each, 3 * each] for each in moments])
        return Course(method, tuple(range(0, 10 * len(moments), 10)), errors)

    rows = summarise(
        [
            course("encoders, trained", 0.5, 0.2, 0.1),
            course("encoders, trained", 0.5, 0.4, 0.1),
            course("encoders, untrained", 1.0, 0.5, 0.3),
            course("spectral method", 0.25),
        ]
    )
    assert [row["steps to untrained"] for row in rows] == [10, 20, ""]
    assert rows[0]["spread"] == "std of the ends over 2 data sets: moments 0.000, signal 0.000, density 0.000"
    assert rows[1]["spread"] == "one data set"
    assert rows[0]["signal, start"] == "1.000"
    assert rows[0]["moments, end"] == "0.100"
    assert rows[2]["density, end"] == "0.750"
