"""The campaign of damaged inputs and kills, in small: no traceback, no hang, no file lost, the same bytes."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from torture.damage import damage_bytes, damage_text, damage_value
from torture.families import Trial
from torture.forks import CRASHED, Outcome
from torture.inputs import judge

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def row(text: str, name: str) -> list[str]:
    """The cells of the row of a table after its first."""
    (line,) = re.findall(rf"(?m)^\| {re.escape(name)} \| (.*) \|$", text)
    return line.strip(" |").split(" | ")


def test_a_small_campaign_finds_nothing() -> None:
    command = [sys.executable, "-m", "torture", "--inputs", "60", "--kills", "3", "--seed", "5"]
    done = subprocess.run(
        [*command, "--verbs", "mra solve"], cwd=BENCHMARKS, capture_output=True, text=True, check=False
    )
    cases, _, *faults = row(done.stdout, "all")[:9]
    assert int(cases) == 60
    named = dict(
        zip(("traceback", "hang", "signal", "nameless", "accepted", "needless", "changed"), faults, strict=True)
    )
    assert {name: count for name, count in named.items() if name != "accepted"} == dict.fromkeys(
        ("traceback", "hang", "signal", "nameless", "needless", "changed"), "0"
    ), done.stdout
    jobs, kills, _, _, same = row(done.stdout, "mra solve")
    assert int(kills) >= 3
    assert jobs == same


def test_the_same_seed_gives_the_same_damage() -> None:
    def draws(seed: int) -> list[object]:
        draw = random.Random(seed)
        content = bytes(range(256)) * 8
        text = "data_\nloop_\n_a #1\n1 2 3\n4 5 6\n"
        return [
            *(damage_bytes(content, draw) for _ in range(50)),
            *(damage_text(text, draw) for _ in range(50)),
            *(repr(damage_value({"a": [1, {"b": 2}], "c": "d"}, draw)) for _ in range(50)),
        ]

    assert draws(3) == draws(3)
    assert draws(3) != draws(4)


@pytest.mark.parametrize(
    ("outcome", "untouched", "fault"),
    [
        (Outcome(CRASHED, "Traceback (most recent call last)", 1.0, False), True, "traceback"),
        (Outcome(-9, "", 1.0, True), True, "hang"),
        (Outcome(-11, "", 1.0, False), True, "ended by a signal"),
        (Outcome(2, "error: something is wrong", 1.0, False), True, "file not named"),
        (Outcome(0, "accepted: pixel=1e+30", 1.0, False), True, "value accepted"),
        (Outcome(0, "", 1.0, False), False, "changed"),
        (Outcome(2, "error: a.star: wrong", 1.0, False), True, None),
    ],
)
def test_every_fault_is_seen(outcome: Outcome, untouched: bool, fault: str | None) -> None:
    found = judge(Trial(lambda: None, ("a.star",)), outcome, untouched)
    assert found == ([] if fault is None else [fault])
