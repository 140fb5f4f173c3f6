"""Which process of a job this is, as torchrun and srun say it."""

import os

import pytest

from cryorbit.core.place import Place, available_cores, place_of_process


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Place(0, 1, 0, 1)),
        ({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}, Place(5, 8, 1, 4)),
        # a script that starts processes by hand may leave the local ones out
        ({"RANK": "1", "WORLD_SIZE": "2"}, Place(1, 2, 0, 1)),
        (
            {
                "SLURM_PROCID": "3",
                "SLURM_LOCALID": "1",
                "SLURM_STEP_NUM_TASKS": "4",
                "SLURM_STEP_NUM_NODES": "2",
                "SLURM_NTASKS": "4",
            },
            Place(3, 4, 1, 2),
        ),
        # a batch script of four tasks that starts the command without srun: a single process
        ({"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "4"}, Place(0, 1, 0, 1)),
        # torchrun within a step of SLURM
        (
            {"RANK": "1", "WORLD_SIZE": "2", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "9"},
            Place(1, 2, 0, 1),
        ),
    ],
)
def test_the_place_of_a_process(environment: dict[str, str], expected: Place) -> None:
    assert place_of_process(environment) == expected


def test_cores_that_a_process_may_not_use_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2}, raising=False)
    assert available_cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert available_cores() == 6


def test_processes_of_a_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert available_cores() == 8
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "9"), ("LOCAL_WORLD_SIZE", "3")):
        monkeypatch.setenv(name, value)
    assert available_cores() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "9")
    assert available_cores() == 1
