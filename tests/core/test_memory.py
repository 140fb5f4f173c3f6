"""How much memory a job may take: what is measured, what is asked, what is refused."""

from pathlib import Path

import pytest
import torch

from cryorbit.core import memory
from cryorbit.core.errors import InputError
from cryorbit.core.memory import (
    BATCH_BYTES,
    GIB,
    batch_bytes,
    batch_images,
    block_bytes,
    free_bytes,
    gigabytes,
    require,
    resident_bytes,
    room,
)

CPU = torch.device("cpu")


def meminfo(folder: Path, gb: float) -> Path:
    file = folder / "meminfo"
    file.write_text(f"MemTotal:  99999999 kB\nMemAvailable: {int(gb * 2**20)} kB\nHugePages_Total:       0\n")
    return file


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 8 GB without control groups."""
    monkeypatch.setattr(memory, "MEMINFO", meminfo(tmp_path, 8))
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "CGROUP_OF_PROCESS", tmp_path / "own")
    return tmp_path


@pytest.mark.usefixtures("machine")
def test_seven_tenths_of_what_is_free() -> None:
    assert free_bytes(CPU) == 8 * GIB
    assert room(None, CPU) == int(0.7 * 8 * GIB)


@pytest.mark.usefixtures("machine")
def test_what_is_asked_is_for_the_whole_process() -> None:
    assert room(3.0, CPU) == pytest.approx(3 * GIB - resident_bytes(), abs=2**24)
    # this process has loaded torch
    assert resident_bytes() > 2**26


def test_a_system_that_does_not_tell(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MEMINFO", machine / "nothing")
    assert free_bytes(CPU) > 2**28


@pytest.mark.parametrize(
    ("own", "folder", "names"),
    [
        ("0::/batch/job7\n", "batch", ("memory.max", "memory.current", "inactive_file")),
        (
            "9:name=systemd:/\n4:cpu,memory:/batch/job7\n",
            "memory/batch",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ),
    ],
)
def test_limits_of_control_groups_and_their_parents(
    machine: Path, own: str, folder: str, names: tuple[str, ...]
) -> None:
    (machine / "own").write_text(own)
    limit, usage, cache = names
    parent = machine / "cgroup" / folder
    group = parent / "job7"
    group.mkdir(parents=True)
    for place, gb in ((group, "max"), (parent, str(4 * GIB))):
        (place / limit).write_text(gb)
        (place / usage).write_text(str(3 * GIB))
        (place / "memory.stat").write_text(f"rss 5\n{cache} {GIB // 2}\n")
    # 4 GB allowed, 3 GB taken, of which half a GB is pages of files
    assert free_bytes(CPU) == GIB + GIB // 2


def test_what_fits_passes_and_what_does_not_is_told() -> None:
    require({"volumes": GIB, "batches": GIB}, 2 * GIB, "x")
    with pytest.raises(InputError) as error:
        require({"volumes": 3 * GIB, "batches": GIB // 2}, 2 * GIB, "give a coarser --max-resolution")
    for words in ("needs 3.5 GB", "volumes 3.0 GB", "batches 0.5 GB", "2.0 GB is left", "fix: give a coarser"):
        assert words in str(error.value)
    with pytest.raises(InputError, match=r"0\.0 GB is left"):
        require({"volumes": GIB}, -GIB, "x")


@pytest.mark.parametrize(
    ("given", "gb"),
    [
        (2, 2.0),
        ("2", 2.0),
        ("0.5", 0.5),
        ("2GB", 2.0),
        ("2g", 2.0),
        ("1.5 GiB", 1.5),
        ("512MB", 0.5),
        ("2048 mib", 2.0),
        ("1t", 1024.0),
        ("1e1", 10.0),
        ("1048576k", 1.0),
    ],
)
def test_an_amount_of_memory_is_understood(given: float | str, gb: float) -> None:
    assert gigabytes(given) == gb


@pytest.mark.parametrize("given", [0, "0GB", -1, "-2GB", "much", "", "2 XB", "GB", "nan", "inf", "2GB of it"])
def test_what_is_no_amount_of_memory_is_told(given: float | str) -> None:
    with pytest.raises(InputError, match=r"(?s)memory.*8GB"):
        gigabytes(given)


def test_batches_on_a_card_take_a_part_of_what_was_free_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    card, free = torch.device("meta"), [64 * GIB]
    monkeypatch.setattr(memory, "free_bytes", lambda _: free[-1])
    memory._free_at_first.cache_clear()
    assert batch_bytes(card) == 8 * GIB
    assert batch_bytes(card, BATCH_BYTES // 4) == 2 * GIB
    assert batch_bytes(card, 2 * BATCH_BYTES) == 8 * GIB
    free.append(GIB)
    assert batch_bytes(card) == 8 * GIB
    assert batch_images(card, 64) > 64
    memory._free_at_first.cache_clear()


def test_batches_on_a_cpu_suit_its_caches() -> None:
    assert (batch_bytes(CPU), batch_bytes(CPU, 7), batch_images(CPU, 64)) == (BATCH_BYTES, 7, 64)


def test_a_small_card_gets_no_smaller_batches_than_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _: 2**20)
    memory._free_at_first.cache_clear()
    assert batch_bytes(torch.device("meta")) == BATCH_BYTES
    memory._free_at_first.cache_clear()


@pytest.mark.parametrize(("threads", "mib"), [(1, 8), (3, 24), (64, 32)])
def test_a_block_is_what_each_core_reaches_quickly(threads: int, mib: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert block_bytes(CPU) == mib * 2**20
