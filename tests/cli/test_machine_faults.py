"""Errors of the system are told as what a user can fix; faults of the program are not."""

import errno

import pytest
import torch

from cryorbit.cli.machine_faults import ProcessLostError, machine_fault


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


def test_a_library_that_finds_no_memory_to_load_into() -> None:
    error = OSError("Could not find/load shared object file 'libllvmlite.so'")
    error.__context__ = OSError("libLLVM.so: failed to map segment from shared object")
    told = machine_fault(error)
    assert told is not None
    assert "out of memory" in str(told)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EFBIG, "ulimit -f"),
        (errno.ENAMETOOLONG, "shorter names"),
        (errno.ENOENT, "put them back"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EROFS, "-o"),
    ],
)
def test_faults_that_a_user_can_fix_name_file_and_fix(number: int, words: str) -> None:
    told = machine_fault(OSError(number, "why", "job/map.mrc"))
    assert told is not None
    assert "job/map.mrc: why" in str(told)
    assert words in str(told)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), OSError(errno.EBADF, "bad descriptor")])
def test_a_fault_of_the_program_stays_one(error: Exception) -> None:
    assert machine_fault(error) is None


def test_the_end_of_another_process_is_told_with_what_goes_on() -> None:
    told = machine_fault(RuntimeError("[../pair.cc:534] Connection closed by peer [127.0.0.1]:29511"))
    assert isinstance(told, ProcessLostError)
    assert "another process of this job has ended" in str(told)
    assert "cryorbit resume" in str(told)
