"""Cost of what is done with every row of a particle table, up to a million: memory and CPU time should be linear.

    python benchmarks/million_rows.py --counts 50000 --counts 100000
    python benchmarks/million_rows.py --counts 1000000 --steps inspect --steps convert --folder /local/disk
    python benchmarks/million_rows.py --counts 1000000 --steps killed --folder /local/disk

Images are 32 pixels wide, in half precision, a thousand to a micrograph and each with noise of its own, so that none is
a duplicate; what they show are projections of a ribosome. A million take 2 GB of disk (``--folder``) while this runs.
``abinit`` has settings with which it passes through all of its stages quickly: no good map is to be expected.
``killed`` is a second such job, killed by SIGKILL in the middle of its last pass and resumed: its files must be those
of the first.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import tempfile
import time
from pathlib import Path

import cyclopts
import mrcfile
import numpy as np

# ruff: isort: split
from measure import BYTES_PER_UNIT, CRYORBIT, Cost, run_measured
from simulated import ParticleSet, simulate_box
from tables import Row, save, show

BOX, PATTERNS, OF_A_STACK = 32, 500, 1000
SNR = 0.1
SPACING, COLUMNS = 100, 32
"""Particles lie on a lattice, so many pixels apart, so many to a row of their micrograph."""
SETTINGS = """max_resolution = 40.0
save_minutes = 0.5

[search]
iterations = 20
batch_first = 60
batch_last = 60
angular_spacing = 30.0

[grow]
iterations = 2
images = 1000
cells = 2
candidates = 2
"""
STEPS = ("inspect", "convert", "abinit", "report")
LAST_PASS = "all particles"
SAME = ("class_1.mrc", "particles.star")


def main(
    *,
    counts: tuple[int, ...] = (50_000, 100_000),
    steps: tuple[str, ...] = STEPS,
    threads: int = 1,
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Make a set of each size, and measure the steps on it; ``report`` is that of ``abinit``."""
    rows: list[Row] = []
    for count in counts:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            place = Path(name)
            patterns = simulate_box(place / "patterns", BOX, PATTERNS, 100.0)
            # in a process of its own: the memory of this one would count towards that of what it starts
            maker = multiprocessing.get_context("spawn").Process(target=make_set, args=(patterns, place, count))
            maker.start()
            maker.join()
            for step in steps:
                rows += killed(place, count, threads) if step == "killed" else [measured(place, step, count, threads)]
        # sets take long, and each tells something
        show("Many rows", rows, [f"images of {BOX} px, {threads} threads"])
    save(output, "million_rows", {"threads": threads, "rows": rows})


def measured(place: Path, step: str, count: int, threads: int) -> Row:
    """Cost of one step."""
    star, job, running = place / "particles.star", place / "job", ("--threads", str(threads))
    if step == "report":
        (job / "report.html").unlink()
    words = {
        "inspect": ("inspect", star, *running),
        "convert": ("convert", star, place / "particles.cs", "--check"),
        "abinit": reconstruction(place, job, threads),
        "report": ("resume", job),
    }[step]
    return told(step, count, run_measured([*CRYORBIT, *words], place / f"{step}.log"))


def reconstruction(place: Path, job: Path, threads: int) -> tuple[str | Path, ...]:
    """The command of a quick job."""
    settings = place / "settings.toml"
    settings.write_text(SETTINGS)
    running = ("--device", "cpu", "--threads", str(threads))
    return "abinit", place / "particles.star", "-o", job, "--config", settings, *running


def killed(place: Path, count: int, threads: int) -> list[Row]:
    """Cost of a job up to the middle of its last pass, where it is killed, and of the rest."""
    job, log = place / "killed", place / "killed.log"
    words = [str(word) for word in (*CRYORBIT, *reconstruction(place, job, threads), "--log-json")]
    with log.open("w") as stream:
        process = subprocess.Popen(words, stdout=stream, stderr=stream)
    while not in_the_middle(log):
        if process.poll() is not None:
            raise RuntimeError(f"the job ended before it could be killed: {log.read_text()[-1000:]}")
        time.sleep(1)
    process.kill()
    _, _, used = os.wait4(process.pid, 0)
    begun = Cost(0.0, used.ru_utime + used.ru_stime, used.ru_maxrss * BYTES_PER_UNIT / 2**20)
    rest = run_measured([*CRYORBIT, "resume", job], place / "resumed.log")
    whole = place / "job"
    same = [(whole / name).read_bytes() == (job / name).read_bytes() for name in SAME] if whole.exists() else []
    row = told("resumed", count, rest)
    return [told("killed", count, begun), row | ({"same bytes": "yes" if all(same) else "NO"} if same else {})]


def in_the_middle(log: Path) -> bool:
    """Whether a job is half through its last pass."""
    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    last = events[-1] if events else {}
    return last.get("stage") == LAST_PASS and last["event"] == "within" and 2 * last["done"] >= last["total"]


def told(step: str, count: int, cost: Cost) -> Row:
    """A row of the table."""
    return {
        "rows": count,
        "step": step,
        "CPU s": cost.cpu_s,
        "CPU us a row": 1e6 * cost.cpu_s / count,
        "peak MiB": cost.peak_MiB,
    }


def make_set(patterns: ParticleSet, folder: Path, count: int) -> None:
    """Write images of the patterns, each with fresh noise, to stacks in ``folder``, and their table beside them."""
    heading, table = _split(patterns.star)
    clean = mrcfile.read(patterns.star.with_suffix(".mrcs"))
    spread = float(np.sqrt(clean.var() / SNR))
    with (folder / "particles.star").open("w") as file:
        file.write(heading + "_rlnCoordinateX #10\n_rlnCoordinateY #11\n")
        for number, start in enumerate(range(0, count, OF_A_STACK), start=1):
            rng = np.random.default_rng(number)
            chosen = rng.integers(len(clean), size=min(OF_A_STACK, count - start))
            noise = rng.standard_normal((len(chosen), BOX, BOX), dtype=np.float32)
            with mrcfile.new(folder / f"{number:06d}.mrcs") as stack:
                stack.set_data((clean[chosen] / spread + noise).astype(np.float16))
                stack.set_image_stack()
            for place, values in enumerate(table[pattern] for pattern in chosen):
                x, y = SPACING * (1 + place % COLUMNS), SPACING * (1 + place // COLUMNS)
                name = f"{place + 1:06d}@{number:06d}.mrcs {number:06d}.mrc"
                file.write(f"{name} {values} {x}.0 {y}.0\n")


def _split(star: Path) -> tuple[str, list[str]]:
    """The text of a table up to its rows, and the rows without the names of their images and micrographs."""
    lines = star.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if "@" in line)
    return "\n".join(lines[:first]) + "\n", [line.split(maxsplit=2)[2] for line in lines[first:] if "@" in line]


if __name__ == "__main__":
    cyclopts.run(main)
