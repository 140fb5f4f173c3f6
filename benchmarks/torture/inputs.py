"""Damaged inputs, one after the other, each in a child of its own; what became of them is counted."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torture.families import FAMILIES, Trial, snapshot
from torture.forks import ACCEPTED, CRASHED, REFUSED, Outcome, attempt

FAULTS = (
    "traceback",
    "hang",
    "ended by a signal",
    "file not named",
    "value accepted",
    "refused without need",
    "changed",
)


@dataclass(slots=True)
class Tally:
    """What became of the cases of a family.

    Attributes
    ----------
    cases
        How many.
    refused
        How many were refused with a message.
    faults
        How many had each of `FAULTS`.
    cpu_s
        CPU seconds they took, and those of the longest.
    examples
        Case, fault and the end of what was printed, of the first of each fault.
    """

    cases: int = 0
    refused: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0
    longest_s: float = 0.0
    examples: list[tuple[str, str, str]] = field(default_factory=list)

    def count(self, name: str, trial: Trial, outcome: Outcome, untouched: bool) -> None:
        """Count a case in."""
        self.cases += 1
        self.refused += outcome.code == REFUSED
        self.cpu_s += outcome.cpu_s
        self.longest_s = max(self.longest_s, outcome.cpu_s)
        for fault in judge(trial, outcome, untouched):
            self.faults[fault] += 1
            if fault == "value accepted" or self.faults[fault] <= 5:
                self.examples.append((name, fault, f"{trial.label} {outcome.said.strip()[-400:]}"))


def judge(trial: Trial, outcome: Outcome, untouched: bool) -> list[str]:
    """The faults of a case; none if it was as it should be."""
    said, found = outcome.said, []
    if outcome.code == CRASHED or "Traceback (most recent call last)" in said:
        found.append("traceback")
    if outcome.hung:
        found.append("hang")
    elif outcome.code < 0:
        found.append("ended by a signal")
    if outcome.code == REFUSED and trial.names and not any(name in said for name in trial.names):
        found.append("file not named")
    if ACCEPTED in said:
        found.append("value accepted")
    if trial.label == "must go on" and outcome.code != 0:
        found.append("refused without need")
    if not untouched:
        found.append("changed")
    return found


def torture(base: Path, place: Path, count: int, seed: int, tell: Callable[[str], object]) -> dict[str, Tally]:
    """Try ``count`` damaged copies of what is in ``base``, in the folder ``place``."""
    names = list(FAMILIES)
    shares = [FAMILIES[name][1] for name in names]
    tallies = {name: Tally() for name in names}
    for number in range(count):
        draw = random.Random(f"{seed} {number}")
        family = draw.choices(names, shares)[0]
        folder = place / "case"
        shutil.copytree(base, folder, symlinks=True)
        trial = FAMILIES[family][0](folder, draw)
        before = snapshot(folder)
        outcome = attempt(trial.work, folder, place / "log")
        after = snapshot(folder)
        untouched = all(after.get(name) == content for name, content in before.items())
        tallies[family].count(f"{family} {seed}/{number}", trial, outcome, untouched)
        shutil.rmtree(folder)
        if number % 500 == 499:
            tell(f"{number + 1} cases")
    return tallies
