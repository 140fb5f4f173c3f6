"""What a command says while it works: everything, nothing, or JSON."""

import json
from pathlib import Path

import pytest
import torch
import toy_recipe
from test_main import run

from cryorbit.api import recipe_table
from cryorbit.cli.main import main
from cryorbit.io.mrc import write_map


@pytest.fixture
def star(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An input file; the verb abinit runs the toy recipe."""
    monkeypatch.setattr(recipe_table, "CONFIGS", {"abinit": f"{toy_recipe.__name__}:AbinitConfig"})
    file = tmp_path / "particles.star"
    file.write_text("data_particles\n")
    return file


def test_quiet_leaves_the_result(star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("abinit", star, "-o", tmp_path / "job", "-q") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "The sum is trustworthy." in captured.out


def test_quiet_is_quiet_while_images_are_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_map(tmp_path / "map.mrc", torch.rand(16, 16, 16), 4.0)
    main(["simulate", str(tmp_path / "map.mrc"), "-o", str(tmp_path / "set"), "-n", "20", "-q"])
    said = capsys.readouterr()
    assert said.err == ""
    assert "particles.star" in said.out


def test_quiet_leaves_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-q", "resume", tmp_path) == 2
    assert "holds no job" in capsys.readouterr().err


def test_verbose_shows_the_log_and_nothing_twice(
    star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("abinit", star, "-o", tmp_path / "job", "-v") == 0
    said = capsys.readouterr().err.splitlines()
    logged = [line.split("  ", 2)[2].strip() for line in (tmp_path / "job" / "log.txt").read_text().splitlines()]
    assert set(logged) <= set(said)
    assert len([line for line in said if "counted" in line]) == 1


def test_json_is_a_line_an_event(star: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("abinit", star, "-o", tmp_path / "job", "--log-json") == 0
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["event"] for event in events].count("step") == 6
    last = [event for event in events if event["event"] == "step"][-1]
    assert (last["done"], last["total"], last["resolution_A"]) == (6, 6, 15.0)
    assert all(event["time"] for event in events)


def test_common_options_stand_in_a_group_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("abinit", "--help") == 0
    everyday, _, running = capsys.readouterr().out.partition("How it runs")
    for option in ("--output", "--classes", "--diameter"):
        assert option in everyday
    for option in ("--quiet", "--log-json", "--seed ", "--config", "--device", "--threads", "--memory", "--scratch"):
        assert option in running
        assert option not in everyday
