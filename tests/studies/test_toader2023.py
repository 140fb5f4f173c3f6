"""The study of conditioning in small: every part, and what must come out whatever the scale."""

from pathlib import Path

import pytest
import torch
from small_studies import read_rows, run_study

from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.studies.toader2023.contenders import CONTENDERS
from cryorbit.studies.toader2023.courses import Optimum
from cryorbit.studies.toader2023.data import simulate


def test_the_minimum_is_the_phantom_but_for_noise() -> None:
    data = simulate(32, 400, 10.0, 0)
    optimum = Optimum.of(data.problem(400, 10.0), data.density)
    correlation = fourier_shell_correlation(optimum.least, data.density)
    # the last shell lacks the neighbours that it is interpolated with
    assert (correlation[1:10] > 0.88).all()
    assert (correlation[1:4] > 0.99).all()
    problem = optimum.problem
    # the truth is above the minimum by half an entry's noise an image, and what interpolation adds
    above = float(problem.evaluate(problem.ball.coefficients(data.density), None).value)
    above -= float(problem.evaluate(optimum.minimum.float(), None).value)
    expected = problem.ball.dimension / (2 * 400)
    assert above == pytest.approx(expected, rel=0.2)


@pytest.mark.slow
def test_the_study_in_small(tmp_path: Path) -> None:
    known = {"box": 32, "images": 240, "radius": 12.0}
    others = {"small_box": 32, "radii": (4.0, 8.0), "counts": (60, 240)}
    marginal = {"images": 60, "radius": 6.0, "epochs": 3}
    files = run_study("toader2023", tmp_path, seed=1, marginal=marginal, **known, **others).files
    tables = ("conditioning", "diagonal", "probes", "table", "epochs", "shells", "marginal")
    figures = ("spectra", "convergence", "shells")
    expected = {f"{name}{suffix}" for name in tables for suffix in (".csv", ".md")} | {
        f"{each}.png" for each in figures
    }
    assert set(files) == expected
    conditions = read_rows(tmp_path / "conditioning.csv")
    assert len(conditions) == 4
    for row in conditions:
        assert float(row["slices alone"]) > float(row["bound, slices alone"])
        assert float(row["with CTF"]) > float(row["bound, diagonal"])
        assert float(row["over weight volume"]) < float(row["with CTF"])
    found = {row["method"]: row for row in read_rows(tmp_path / "table.csv")}
    assert list(found) == [contender.name for contender in CONTENDERS]
    assert float(found["SVRG, weight volume"]["times closer"]) > 2.5
    assert float(found["SVRG, weight volume"]["passes"]) == pytest.approx(20, rel=0.05)
    assert all(float(row["gap"]) < 0.3 for row in found.values())
    marginal = {row["method"]: row for row in read_rows(tmp_path / "marginal.csv")}
    assert all(float(row["epoch 3"]) < float(row["epoch 1"]) < 1 for row in marginal.values())


def test_the_same_seed_gives_the_same_data() -> None:
    one, other, another = (simulate(32, 20, 8.0, seed) for seed in (3, 3, 4))
    assert torch.equal(one.observations.data, other.observations.data)
    assert not torch.equal(one.observations.data, another.observations.data)
