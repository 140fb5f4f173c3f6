"""Triton kernels: they compile for cards of several kinds, and are used where there is a card alone."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cryorbit.kernels.fused import device
from cryorbit.kernels.fused.device import fused_device

pytest.importorskip("triton")
HERE = Path(__file__).parent
SHARED_BYTES = 48 * 1024
"""Shared memory that a program finds on every card."""


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    fused_device.cache_clear()
    yield
    fused_device.cache_clear()


@pytest.mark.parametrize("card", ["sm_80", "sm_90", "gfx942"])
def test_the_kernels_compile_for_a_card(card: str, tmp_path: Path) -> None:
    """Triton's compiler takes less of the language than its interpreter, which the other tests run."""
    settings = {
        "PYTHONPATH": os.pathsep.join(map(str, [*sys.path, HERE.parent])),
        "TRITON_CACHE_DIR": str(tmp_path),
        "TRITON_INTERPRET": "0",
    }
    command = [sys.executable, HERE / "compile_fused.py", card]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shared = json.loads(done.stdout)
    assert {"_gather", "_score", "_add"} <= set(shared)
    assert max(shared.values()) <= SHARED_BYTES


def test_without_a_card_there_is_no_device_to_compile_for() -> None:

    assert (fused_device() is None) == (not torch.cuda.is_available())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_card_without_its_driver_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert fused_device() is None


def test_without_triton_there_is_none_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_spec", lambda _: None)
    assert fused_device() is None


def test_with_a_card_it_is_what_triton_compiles_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton.runtime import driver

    class Driver:
        def get_active_torch_device(self) -> torch.device:
            return torch.device("meta")

    monkeypatch.setattr(driver, "_active", Driver())
    assert fused_device() == "meta"
