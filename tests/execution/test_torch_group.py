"""Processes that torch.distributed connects: what one has, all have; an error of one is told in all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cryorbit.cli.processes import free_port, run_processes
from cryorbit.execution.group import SINGLE_PROCESS, once
from cryorbit.execution.torch_group import join_group

PROGRAM = """
import torch
from cryorbit.core.errors import InputError
from cryorbit.execution.group import from_all, once
from cryorbit.execution.torch_group import join_group, leave_group

group = join_group()
whole, part = torch.full((3,), 2**40 + group.rank), torch.ones(2) * group.rank
group.sum_([whole, part])
assert whole.tolist() == [3 * 2**40 + 3] * 3, whole
assert part.tolist() == [3, 3]
assert group.gather({"of": group.rank}) == [{"of": 0}, {"of": 1}, {"of": 2}]
assert group.broadcast(group.rank) == 0
assert group.any(flag=group.rank == 2)
assert not group.any(flag=False)
assert once(group, lambda: f"made by {group.rank}") == "made by 0"

def refused():
    raise InputError("the table is empty", file="a.star", row=3, fix="give another")

try:
    once(group, refused)
except InputError as error:
    assert (error.problem, error.row) == ("the table is empty", 3)
    assert str(error).endswith("fix: give another")
else:
    raise AssertionError("nothing was raised")
assert from_all(group, lambda: group.rank**2) == [0, 1, 4]

def refused_by_the_last():
    if group.rank == 2:
        raise InputError("the stack is cut short", file="a.mrcs", fix="copy it again")

try:
    from_all(group, refused_by_the_last)
except InputError as error:
    assert error.problem == "the stack is cut short"
else:
    raise AssertionError("nothing was raised")
leave_group()
print("done", group.rank)
"""


def started(program: Path, rank: int, port: int) -> subprocess.Popen[str]:
    place = {"RANK": str(rank), "WORLD_SIZE": "3", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    words = [sys.executable, str(program)]
    return subprocess.Popen(words, env=os.environ | place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_three_processes_come_to_the_same(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    port = free_port()
    processes = [started(program, rank, port) for rank in range(3)]
    for rank, process in enumerate(processes):
        out, err = process.communicate(timeout=120)
        assert out == f"done {rank}\n", err


def test_a_single_process_is_no_group() -> None:
    assert join_group({}) is SINGLE_PROCESS
    assert once(SINGLE_PROCESS, lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        once(SINGLE_PROCESS, lambda: 1 // 0)


def test_the_command_ends_as_its_first_process_does(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What all processes refuse is said once, with the exit code of a refusal."""
    words = ["refine", str(tmp_path / "none.star"), "--map", "none.mrc", "-o", str(tmp_path / "job")]
    assert run_processes(words, 2) == 2
    assert capfd.readouterr().err.count("error: ") == 1
