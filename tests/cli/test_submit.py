"""Batch scripts: what they ask for, what they run, and what is refused."""

import os
import stat
from pathlib import Path

import pytest

from cryorbit.cli.main import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def submit(*words: str) -> int:
    """Exit code of the verb."""
    try:
        main(["submit", *words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_script_asks_for_what_was_asked_and_runs_the_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("refine", "particles.star", "--map", "my map.mrc", "-o", "job")
    asked = ("--nodes", "2", "--per-node", "4", "--cores", "6", "--gpus-per-process", "1", "--time", "12:00:00")
    assert submit("--slurm", *asked, "--node-memory", "64G", "--partition=run", *command) == 0
    script = (here / "refine.slurm.sh").read_text()
    lines = script.splitlines()
    assert lines[0] == "#!/bin/bash"
    for line in ("nodes=2", "ntasks-per-node=4", "cpus-per-task=6", "gpus-per-task=1", "mem=64G", "time=12:00:00"):
        assert f"#SBATCH --{line}" in lines
    assert lines[-1].endswith("cryorbit refine particles.star --map 'my map.mrc' -o job --threads 6")
    assert script in capsys.readouterr().out


def test_what_is_not_asked_for_is_left_to_the_cluster(here: Path) -> None:
    assert submit("--slurm", "abinit", "particles.star", "-o", "job", "--threads", "3") == 0
    script = (here / "abinit.slurm.sh").read_text()
    for word in ("mem", "time", "partition", "account", "gpus"):
        assert f"--{word}" not in script
    assert script.rstrip().endswith("-o job --threads 3")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("abinit", "a.star"), "add --slurm"),
        (("--slurm",), "no command to run"),
        (("--slurm", "--per-node", "2", "inspect", "a.star"), "cannot be shared"),
        (("--slurm", "--template", "none.j2", "abinit"), "none.j2"),
        (("--slurm", "--template", "wrong.j2", "abinit"), "is undefined"),
        (("--slurm", "--script", "there.sh", "abinit"), "there.sh"),
        (("--slurm", "--send", "abinit"), "sbatch was not found"),
    ],
)
def test_what_cannot_be_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    (here / "wrong.j2").write_text("{{ nobody }}")
    (here / "there.sh").write_text("mine")
    monkeypatch.setenv("PATH", str(here))
    assert submit(*words) == 2
    assert said in capsys.readouterr().err
    assert (here / "there.sh").read_text() == "mine"


def test_a_template_of_ones_own_and_a_script_that_is_sent(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "own.j2").write_text("#!/bin/sh\n# {{ processes }} of {{ cores }}\n{{ command }}\n")
    sbatch = here / "sbatch"
    sbatch.write_text('#!/bin/sh\necho "Submitted $1"\n')
    sbatch.chmod(sbatch.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{here}{os.pathsep}{os.environ['PATH']}")
    words = ("--slurm", "--send", "--template", "own.j2", "--script", "a.sh", "abinit", "p.star", "-o", "job")
    assert submit(*words) == 0
    assert (here / "a.sh").read_text() == "#!/bin/sh\n# 1 of 8\ncryorbit abinit p.star -o job --threads 8\n"
    assert "Submitted a.sh" in capsys.readouterr().out
