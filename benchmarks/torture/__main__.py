"""The campaign: damaged inputs, kills, and a page of what became of them."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import resource
import shutil
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

# children are forked, and threads do not survive that; read when the libraries load
os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"

import torch

from cryorbit import __version__
from torture.base import build
from torture.forks import no_report
from torture.inputs import FAULTS, Tally, torture
from torture.kills import VERBS, Killed, kill_jobs, prepare


def main() -> None:
    """Run the campaign and print, or write, its page."""
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="damaged inputs")
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbs", nargs="*", help="verbs whose jobs are killed; default: all")
    parser.add_argument("--output", type=Path, help="file of Markdown; default: printed")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        base = build_warm(Path(name))
        tallies = torture(base, Path(name), chosen.inputs, chosen.seed, _tell)
        killed: dict[str, Killed] = {}
        if chosen.kills:
            prepare(base)
            killed = kill_jobs(base, chosen.verbs or list(VERBS), chosen.kills, chosen.seed, _tell)
    text = page(tallies, killed, chosen.seed)
    if chosen.output is None:
        sys.stdout.write(text)
    else:
        chosen.output.write_text(text)
    wrong = any(tally.faults for tally in tallies.values()) or any(each.faults for each in killed.values())
    sys.exit(1 if wrong else 0)


def build_warm(place: Path) -> Path:
    """The sound inputs, and everything that cases need imported and compiled in this process."""
    from cryorbit.cli.main import main as command

    base = build(place / "base")
    warm = place / "warm"
    shutil.copytree(base, warm)
    with contextlib.chdir(warm), no_report():
        command(["inspect", "particles.star"])
        command(["resume", "stopped", "-q"])
    shutil.rmtree(warm)
    return base


def page(tallies: Mapping[str, Tally], killed: Mapping[str, Killed], seed: int) -> str:
    """The figures as Markdown."""
    cases = sum(tally.cases for tally in tallies.values())
    lines = [
        "# Torture",
        "",
        f"`python -m torture --inputs {cases} --kills {sum(k.kills for k in killed.values())} "
        f"--seed {seed}` in the folder benchmarks; cryorbit {__version__}, {datetime.now(UTC):%Y-%m-%d}, "
        f'Python {platform.python_version()}, torch {torch.__version__}. Columns after "refused" are to be 0.',
        "",
    ]
    lines += [
        f"| damaged | cases | refused | {' | '.join(FAULTS)} | longest (CPU s) |",
        f"| --- {'| --- ' * (len(FAULTS) + 3)}|",
    ]
    for name, tally in tallies.items():
        counts = " | ".join(str(tally.faults[fault]) for fault in FAULTS)
        lines.append(f"| {name} | {tally.cases:,} | {tally.refused:,} | {counts} | {tally.longest_s:.1f} |")
    total = " | ".join(str(sum(tally.faults[fault] for tally in tallies.values())) for fault in FAULTS)
    refused = sum(tally.refused for tally in tallies.values())
    lines.append(f"| all | {cases:,} | {refused:,} | {total} | |")
    if killed:
        lines += [
            "",
            "| killed | jobs | kills | within writing | within resume | same bytes |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        lines += [f"| {v} | {k.runs} | {k.kills} | {k.writing} | {k.resuming} | {k.same} |" for v, k in killed.items()]
    lines += _accepted(tallies)
    lines += [f"- {fault}" for each in killed.values() for fault in each.faults]
    used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    return "\n".join([*lines, "", f"CPU seconds of all: {seconds:,.0f}.", ""])


def _accepted(tallies: Mapping[str, Tally]) -> list[str]:
    """The impossible values that were accepted, and how often; and the first of the other faults."""
    counts: dict[str, int] = {}
    others = []
    for tally in tallies.values():
        for case, fault, said in tally.examples:
            if fault == "value accepted":
                label = said.split("accepted: ")[-1].splitlines()[0]
                counts[label] = counts.get(label, 0) + 1
            else:
                others.append(f"- {fault} ({case}): `{' '.join(said.split())[-300:]}`")
    listed = ", ".join(f"{label} ({count})" for label, count in sorted(counts.items()))
    return (["", f"Accepted: {listed}."] if counts else []) + (["", *others] if others else [])


def _tell(line: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")


if __name__ == "__main__":
    main()
