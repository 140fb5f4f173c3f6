"""Jobs killed with SIGKILL at any moment, also while they write; resumed, they end with the bytes of others."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryorbit.cli.main import main
from cryorbit.io import atomic
from torture.forks import Outcome, attempt, cpu_seconds, finish, start

SHORT_REFINE = "[passes]\niterations = 2\n[poses]\ncells = 4\nangular_spacing = 40.0\n"
SHORT_ABINIT = """[abinit.search]
iterations = 3
batch_first = 20
batch_last = 20
angular_spacing = 40.0
[abinit.grow]
iterations = 1
cells = 2
"""
SETTINGS: Mapping[str, str] = {
    "refine.toml": f"diameter = 100.0\nmax_resolution = 20.0\ncheck_start = false\n{SHORT_REFINE}",
    "optimise.toml": "epochs = 1.0\nheld_out = 10\nresolution = 40\ndiameter = 100\nquadrature.undersampling = 3.0\n",
    "moments.toml": "resolution = 60.0\nstarts = 1\nkept = 1\ncoarse_steps = 5\nfine_steps = 5\ndensity_degree = 2\n",
    "train.toml": "steps = 60\nbatch = 8\ntest_count = 50\nlength = 8\n",
    "passes.toml": "passes = 20.0\n",
    "run.toml": f"seeds = 1\ndiameter = 100.0\nmax_resolution = 20.0\n{SHORT_ABINIT}[refine.passes]\niterations = 1\n"
    "[refine.poses]\ncells = 4\nangular_spacing = 40.0\n",
}
PARTICLES = "particles.star"
JOB = ["-o", "job"]
JOBS: Mapping[str, Sequence[str]] = {
    "run": ["run", PARTICLES, *JOB, "--config", "run.toml"],
    "abinit": ["abinit", PARTICLES, *JOB, "--config", "settings.toml"],
    "abinit, two classes": ["abinit", PARTICLES, *JOB, "--config", "settings.toml", "--classes", "2"],
    "reconstruct": ["reconstruct", PARTICLES, *JOB],
    "refine": ["refine", PARTICLES, *JOB, "--map", "map.mrc", "--config", "refine.toml"],
    "classify": ["classify", PARTICLES, *JOB, "--map", "map.mrc", "other.mrc", "--config", "refine.toml"],
    "optimise": ["optimise", PARTICLES, *JOB, "--config", "optimise.toml"],
    "moments": ["moments", PARTICLES, *JOB, "--config", "moments.toml"],
    "postprocess": ["postprocess", "--half1", "map.mrc", "--half2", "other.mrc", *JOB],
    "mra solve": ["mra", "solve", "observations.npz", *JOB, "--config", "passes.toml"],
    "mra moments": ["mra", "moments", "observations.npz", *JOB, "--starts", "1"],
    "mra train": ["mra", "train", *JOB, "--config", "train.toml"],
}
"""Verbs whose jobs go on."""
ONCE: Mapping[str, Sequence[str]] = {
    "simulate": ["simulate", "map.mrc", *JOB, "-n", "60"],
    "inspect": ["inspect", PARTICLES, *JOB],
    "convert": ["convert", PARTICLES, "job/particles.cs"],
    "compare": ["compare", "map.mrc", "other.mrc", "-o", "job/superposed.mrc"],
    "mra simulate": ["mra", "simulate", *JOB, "-n", "60"],
}
"""Verbs that are run again: what a killed one leaves is whole."""
VERBS: Mapping[str, Sequence[str]] = {**JOBS, **ONCE}
RESULTS = (".mrc", ".mrcs", ".star", ".cs", ".npz", ".bild", ".pt")
MOST_KILLS = 3


@dataclass(slots=True)
class Killed:
    """What became of the kills of a verb.

    Attributes
    ----------
    runs, kills
        Jobs and how often they were killed; ``writing`` and ``resuming`` of these within the writing of a file, and
        while a killed job was resumed.
    same
        Jobs that ended with the bytes of the undisturbed one.
    faults
        What was wrong with the others.
    """

    runs: int = 0
    kills: int = 0
    writing: int = 0
    resuming: int = 0
    same: int = 0
    faults: tuple[str, ...] = ()


def prepare(folder: Path) -> None:
    """Lay settings and a second map beside the sound inputs."""
    for name, text in SETTINGS.items():
        (folder / name).write_text(text)
    content = bytearray((folder / "map.mrc").read_bytes())
    content[1024:] = content[1024:][::-1] if len(content) % 4 else _turned(bytes(content[1024:]))
    (folder / "other.mrc").write_bytes(content)


def kill_jobs(
    folder: Path, verbs: Sequence[str], kills: int, seed: int, tell: Callable[[str], object]
) -> dict[str, Killed]:
    """Kill jobs of each of the verbs in turn, until so many kills were made."""
    known: dict[str, tuple[dict[str, bytes], Outcome]] = {}
    tallies = {verb: Killed() for verb in verbs}
    number = 0
    while sum(each.kills for each in tallies.values()) < kills:
        verb = verbs[number % len(verbs)]
        if verb not in known:
            known[verb] = undisturbed(folder, VERBS[verb])
        draw = random.Random(f"{seed} {number}")
        disturbed(folder, verb, known[verb], tallies[verb], draw)
        number += 1
        tell(f"{verb}: {sum(each.kills for each in tallies.values())} kills")
    return tallies


def undisturbed(folder: Path, command: Sequence[str]) -> tuple[dict[str, bytes], Outcome]:
    """The results of a command that nobody disturbs, and what it took."""
    job = folder / "job"
    shutil.rmtree(job, ignore_errors=True)
    outcome = attempt(lambda: main([*command, "-q"]), folder, folder / "log")
    if outcome.code != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {outcome.code}: {outcome.said[-2000:]}")
    return results(job), outcome


def disturbed(
    folder: Path, verb: str, known: tuple[dict[str, bytes], Outcome], tally: Killed, draw: random.Random
) -> None:
    """Kill a job, resume it, kill it again perhaps, and hold what it ends with against the undisturbed one."""
    expected, whole = known
    job, resumable = folder / "job", verb in JOBS
    shutil.rmtree(job, ignore_errors=True)
    fresh = [*VERBS[verb], "-q"]
    tally.runs += 1
    for attempts in range(draw.randint(1, MOST_KILLS)):
        begun = (job / "job.json").exists() and resumable
        if not begun:
            shutil.rmtree(job, ignore_errors=True)
        command = ["resume", "job", "-q"] if begun else fresh
        within_writing = draw.random() < 0.5
        if _kill_once(command, folder, whole.cpu_s, within_writing, draw):
            tally.kills += 1
            tally.writing += within_writing
            tally.resuming += attempts > 0 and begun
        _judge_left(job, expected, resumable, verb, tally)
        if not resumable:
            break
    if not resumable or not (job / "job.json").exists():
        shutil.rmtree(job, ignore_errors=True)
        outcome = attempt(lambda: main(fresh), folder, folder / "log")
    else:
        outcome = attempt(lambda: main(["resume", "job", "-q"]), folder, folder / "log")
    finished_before = "this job is finished" in outcome.said
    found = results(job)
    if (outcome.code == 0 or finished_before) and found == expected and not list(job.rglob(".*.part*")):
        tally.same += 1
    else:
        wrong = [name for name in expected if found.get(name) != expected[name]]
        tally.faults += (f"{verb}: code {outcome.code}, differs in {wrong}: {outcome.said[-300:]}",)


def results(job: Path) -> dict[str, bytes]:
    """The files of a job that are determined by its settings, by name."""
    files = [file for file in job.rglob("*") if file.suffix in RESULTS and file.name != "state.pt"]
    return {str(file.relative_to(job)): file.read_bytes() for file in files if not file.name.startswith(".")}


def _kill_once(command: Sequence[str], folder: Path, cpu_s: float, within_writing: bool, draw: random.Random) -> bool:
    """Run a command and kill it while it writes a file, or after a part of its CPU time; whether it was killed."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    if within_writing:
        flushes = draw.randint(1, 30)
        child = start(lambda: _die_at_flush(command, flushes), folder, log)
    else:
        child = start(lambda: main(command), folder, log)
        limit = draw.uniform(0, cpu_s)
        while (spent := cpu_seconds(child)) < limit and not _ended(child):
            time.sleep(0.001)
        if spent < float("inf"):
            os.kill(child, signal.SIGKILL)
    return finish(child, log).code == -signal.SIGKILL


def _die_at_flush(command: Sequence[str], flushes: int) -> None:
    """Run a command that is killed while it writes: when a file or folder is put on the disk for the n-th time."""
    flush, left = atomic._sync, [flushes]

    def flush_or_die(path: Path) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(path)

    atomic._sync = flush_or_die
    main(command)


def _ended(child: int) -> bool:
    """Whether a child is a zombie: it has ended, and nobody has waited for it."""
    try:
        return Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True


def _judge_left(job: Path, expected: Mapping[str, bytes], resumable: bool, verb: str, tally: Killed) -> None:
    """Whatever a killed command has left under its final name is whole; results may be the undisturbed ones only."""
    if resumable:
        return
    torn = [name for name, content in results(job).items() if expected.get(name) != content]
    if torn:
        tally.faults += (f"{verb}: left torn {torn}",)


def _turned(values: bytes) -> bytes:
    """The values of a map, float32, in the opposite order: the map turned over."""
    return b"".join(values[place : place + 4] for place in range(len(values) - 4, -1, -4))
