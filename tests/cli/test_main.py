"""The command: fast help, errors without tracebacks, suggestions, exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest

from cryorbit import __version__
from cryorbit.cli.main import main

VERBS = [
    "abinit",
    "classify",
    "compare",
    "convert",
    "demo",
    "doctor",
    "evaluate",
    "inspect",
    "mra",
    "postprocess",
    "reconstruct",
    "refine",
    "reproduce",
    "resume",
    "run",
    "simulate",
]


def run(*arguments: str | Path) -> int:
    """Exit code of the command."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    for verb in VERBS:
        assert f" {verb} " in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_the_common_words(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verb, "--help") == 0
    text = capsys.readouterr().out
    assert f"cryorbit {verb}" in text
    if verb in {"abinit", "classify", "demo", "reconstruct", "refine", "run", "simulate"}:
        assert "--output -o" in text
        assert "--seed" in text


def test_help_does_not_load_the_heavy_libraries() -> None:
    code = """
import sys
from cryorbit.cli.main import main
for arguments in (["--help"], ["abinit", "--help"], ["--version"]):
    try:
        main(arguments)
    except SystemExit:
        pass
assert not {"torch", "numba", "matplotlib", "pandas"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_an_unknown_verb_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("abint", "x.star") == 2
    captured = capsys.readouterr()
    assert '"abinit"' in captured.err or "abinit" in captured.err
    assert captured.out == ""


def test_an_unknown_option_names_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("abinit", "x.star", "-o", tmp_path / "job", "--clases", "2") == 2
    assert "--classes" in capsys.readouterr().err


def test_a_missing_option_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("abinit", "x.star") == 2
    assert "--output" in capsys.readouterr().err


def test_input_errors_are_told_without_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("resume", tmp_path) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert str(tmp_path) in captured.err
    assert "fix: give the folder" in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
