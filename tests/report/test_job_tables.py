"""Tables of the report: times add up, defocus is in micrometres, warnings are told once."""

from pathlib import Path

import pandas as pd
import pytest

from cryorbit.report.job_tables import defocus_table, pruning_table, read_warnings, stage_times


def test_the_time_of_each_stage_is_the_sum_of_its_iterations() -> None:
    metrics = pd.DataFrame({"stage": ["search", "search", "grow", "search"], "seconds": [1.0, 2.0, 5.0, 4.0]})
    assert stage_times(metrics) == [
        {"stage": "search", "iterations": 3, "seconds": 7.0},
        {"stage": "grow", "iterations": 1, "seconds": 5.0},
    ]
    assert stage_times(pd.DataFrame()) == []


def test_the_last_search_by_branch_and_bound_is_shown() -> None:
    first, last = [{"part": 1, "kept_by_bound": 0.5}], [{"part": 1, "kept_by_bound": 0.1}]
    metrics = pd.DataFrame(
        [{"stage": "pass", "pruning": first}, {"stage": "pass", "pruning": last}, {"stage": "final"}]
    )
    assert pruning_table(metrics) == last
    assert pruning_table(metrics.drop(columns="pruning")) == pruning_table(metrics[2:]) == []


def test_defocus_is_told_by_optics_group() -> None:
    particles = pd.DataFrame(
        {
            "rlnDefocusU": [10_000, 12_000, 30_000, 21_000],
            "rlnDefocusV": [9_000, 12_500, 30_000, 20_000],
            "rlnOpticsGroup": [1, 1, 1, 2],
        }
    )
    first, second = defocus_table(particles)
    assert first == {
        "group": 1,
        "particles": 3,
        "lowest": pytest.approx(0.95),
        "median": pytest.approx(1.225),
        "highest": pytest.approx(3.0),
        "astigmatism": pytest.approx(0.05),
    }
    assert (second["particles"], second["astigmatism"]) == (1, pytest.approx(0.1))
    assert len(defocus_table(particles.drop(columns="rlnOpticsGroup"))) == 1
    assert defocus_table(particles[["rlnOpticsGroup"]]) == defocus_table(None) == []


def test_each_warning_of_the_log_is_told_once(tmp_path: Path) -> None:
    assert read_warnings(tmp_path) == []
    (tmp_path / "log.txt").write_text(
        "2026-01-01 10:00:00,000  INFO     all well\n"
        "2026-01-01 10:00:01,000  WARNING  the disk is nearly full\n"
        "2026-01-01 10:00:02,000  WARNING  the disk is nearly full\n"
        "2026-01-01 10:00:03,000  ERROR    the job failed\n"
    )
    assert read_warnings(tmp_path) == ["the disk is nearly full"]
