"""Errors of the system are told as what a user can mend; faults of the program are not."""

import errno

import pytest
import torch

from cryorbit.cli.machine_faults import machine_fault


def test_a_full_disk_names_the_file() -> None:
    told = machine_fault(OSError(errno.ENOSPC, "No space left on device", "job/log.txt"))
    assert told is not None
    assert "job/log.txt: No space left on device" in str(told)
    assert "cryorbit resume" in str(told)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    ],
)
def test_no_memory(error: Exception) -> None:
    told = machine_fault(error)
    assert told is not None
    assert "--memory" in str(told)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), OSError(errno.EBADF, "bad descriptor")])
def test_a_fault_of_the_program_stays_one(error: Exception) -> None:
    assert machine_fault(error) is None
