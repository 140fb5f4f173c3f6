"""Names of devices: those that jobs run on, and a clear answer to every other word."""

import os
import subprocess
import sys

import numba
import pytest
import torch

from cryorbit.api.devices import choose_device, launch_on, limit_threads
from cryorbit.cli import device_checks
from cryorbit.core.errors import InputError


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("requested", "gpus", "chosen"),
    [
        (None, 0, "cpu"),
        ("auto", 0, "cpu"),
        (None, 1, "cuda"),
        ("auto", 2, "cuda"),
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_what_there_is_is_taken(requested: str | None, gpus: int, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, gpus)
    assert choose_device(requested) == chosen


@pytest.mark.parametrize(
    ("requested", "words"),
    [
        ("mps", "Apple's GPU has no double precision"),
        ("mps:0", "Apple's GPU"),
        ("xpu", "Intel's GPU"),
        ("cuda:2", "there is no device 'cuda:2' here"),
        # words that torch takes for devices, and words that nobody does
        *((word, "unknown device") for word in ("meta", "hpu", "vulkan", "cpu:0", "cuda:", "cuda:-1", "cuda:x")),
        *((word, "unknown device") for word in ("", "gpu", "CUDA", "GPU 0", "quantum", "0", "cuda:1:2")),
    ],
)
def test_every_other_word_is_answered(requested: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 2)
    with pytest.raises(InputError, match=words) as told:
        choose_device(requested)
    assert "cpu, cuda:0, cuda:1" in str(told.value)


@pytest.mark.parametrize(
    ("device", "set_to"), [(None, []), ("cpu", []), ("cuda", []), ("cuda:0", ["cuda:0"]), ("cuda:1", ["cuda:1"])]
)
def test_kernels_are_launched_on_the_gpu_of_the_job(
    device: str | None, set_to: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    launch_on(device)
    assert chosen == set_to


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 0)
    with pytest.raises(InputError, match=r"no device 'cuda' here\n.*\(cpu\)"):
        choose_device("cuda")


def test_the_doctor_says_that_another_gpu_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 0)
    monkeypatch.setattr(torch.mps, "device_count", lambda: 1)
    (check,) = device_checks.check_devices()
    assert (check.level, "jobs run on the CPU" in check.finding) == ("good", True)
    assert "Apple" in check.finding


def test_a_limit_of_threads_is_one_on_torch_even_after_numba_has_started() -> None:
    """In a process of its own: numba's threads start once, and set torch's number as well when they do."""
    code = """
import numba, numpy, torch
from cryorbit.api.devices import limit_threads

@numba.njit(parallel=True)
def doubled(values):
    for i in numba.prange(len(values)):
        values[i] *= 2

limit_threads(1)
doubled(numpy.ones(8))
print(torch.get_num_threads(), numba.get_num_threads())
"""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


def test_no_more_threads_are_used_than_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3}, raising=False)
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(numba, "set_num_threads", lambda _: None)
    for threads in (1, 2, 16):
        limit_threads(threads)
    assert asked == [1, 2, 2]
