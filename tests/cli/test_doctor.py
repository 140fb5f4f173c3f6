"""The doctor: findings of machines in different states, told with advice and an exit code."""

import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_main import run

from cryorbit.cli import device_checks
from cryorbit.core.memory import GIB
from cryorbit.recipes import doctor

Usage = namedtuple("Usage", "total used free")


def test_a_sound_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--quick", "--folder", tmp_path) == 0
    text = capsys.readouterr().out
    for word in ("GPU", "torch", "threads", "memory", "disk", "write access", "ready to run jobs"):
        assert word in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("free_gb", "level"), [(0.3, "bad"), (2.0, "doubtful"), (50.0, "good")])
def test_memory_and_disk(free_gb: float, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "free_bytes", lambda _: int(free_gb * GIB))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free_gb * GIB))
    for check in (doctor.memory(), doctor.disk(tmp_path)):
        assert check.level == level
        assert bool(check.advice) == (level != "good")


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--quick", "--folder", tmp_path / "none") == 1
    captured = capsys.readouterr()
    assert "No such file" in captured.out
    assert "give a folder" in captured.out
    assert "Jobs will not run" in captured.err


@pytest.mark.parametrize(("load", "threads", "level"), [(0.1, 4, "good"), (9.0, 4, "doubtful"), (0.1, 1, "doubtful")])
def test_threads(load: float, threads: int, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert doctor.threads().level == level


@pytest.mark.parametrize(
    ("smi", "build", "words"),
    [(None, None, "jobs run on the CPU"), ("/bin/x", None, "CPU build"), ("/bin/x", "12.8", "there is a driver")],
)
def test_why_there_is_no_gpu(smi: str | None, build: str | None, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device_checks.shutil, "which", lambda _: smi)
    monkeypatch.setattr(torch.version, "cuda", build)
    (check,) = device_checks.check_devices()
    assert words in check.finding
    assert (check.level == "good") == (smi is None)


def failing(*_: object, **__: object) -> None:
    raise RuntimeError("no kernel image is available for execution on the device\nmore")


@pytest.mark.parametrize(
    ("free_gb", "change", "level", "words"),
    [
        (70.0, None, "bad", "computes wrong results"),
        (70.0, failing, "bad", "no kernel image is available for execution on the device"),
    ],
)
def test_a_gpu_that_does_not_work(
    free_gb: float,
    change: Callable[..., None] | None,
    level: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA X")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free_gb * GIB), 80 * GIB))
    monkeypatch.setattr(torch, "ones", change or (lambda *shape, **_: torch.full(shape, 2.0)))
    check, _ = device_checks.check_devices()
    assert check.level == level
    assert words in check.finding


@pytest.mark.parametrize(
    ("compiled_for", "level", "words"),
    [("cuda", "good", "compiled by Triton"), (None, "doubtful", "many times slower")],
)
def test_the_kernels_of_a_gpu_need_triton(
    compiled_for: str | None, level: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr("cryorbit.kernels.fused.device.fused_device", lambda: compiled_for)
    (check,) = device_checks.check_devices()
    assert check.level == level
    assert words in check.finding
    assert ("cryorbit[gpu]" in (check.advice or "")) == (level == "doubtful")


@pytest.mark.slow
def test_the_known_answer_is_found() -> None:
    check = doctor.reconstruction("cpu")
    assert check.level == "good", check.finding


@pytest.mark.parametrize(("correlation", "level"), [(0.2, "bad"), (float("nan"), "bad"), (0.95, "good")])
def test_the_answer_is_judged(correlation: float, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = SimpleNamespace(cc=correlation, resolution=lambda _: 12.0)
    found = SimpleNamespace(against_truth=SimpleNamespace(comparison=comparison))
    monkeypatch.setattr(doctor.demo, "run", lambda *_: found)
    check = doctor.reconstruction("cpu")
    assert check.level == level
    assert ("computes wrongly" in check.advice) == (level == "bad")
