"""What was compiled is kept, gives the same numbers as on the first run, and never outlives its sources."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cryorbit import kernels
from cryorbit.kernels import compiled

LISTS = """
from cryorbit.kernels.significant import Limits, list_numba
generator = torch.Generator().manual_seed(1)
even, odd = (torch.randn(20, 9, 2304, generator=generator) / 2 for _ in range(2))
offset = torch.randn(20, 2, 2304, generator=generator)
entries = list_numba(even, odd, torch.zeros(9), offset, torch.full((20,), -torch.inf), Limits(10.0, 2048, 1024))
printed = [hashlib.sha256(each.numpy().tobytes()).hexdigest() for each in (entries.view, entries.log_squares)]
"""
SLICES = """
from cryorbit.kernels.gather import gather_numba
volume = torch.arange(8 * 8 * 5.0).view(8, 8, 5).to(torch.complex64)
printed = gather_numba(volume, torch.eye(3)[None], torch.tensor([[0.5, 0.0], [1.0, 0.5]]), 2).real.tolist()
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A package of the kernels alone, which is all that they need."""
    package = tmp_path / "cryorbit"
    source = Path(kernels.__file__).parent
    shutil.copytree(source, package / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").touch()
    return package


def run(program: str, copy: Path, kept: Path | None = None) -> tuple[list, set[Path]]:
    """What a program prints with a copy of the kernels, and all files kept after it: beside the copy, or elsewhere."""
    whole = f"import hashlib, json, torch\n{program}\nprint(json.dumps(printed))"
    kept = kept or copy.parent / "kept"
    settings = {"PYTHONPATH": str(copy.parent), "NUMBA_CACHE_DIR": str(kept), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", whole], env=os.environ | settings, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout), set(kept.rglob("*.nbc"))


def test_later_runs_are_the_first_one(copy: Path) -> None:
    first, compiled_then = run(LISTS, copy)
    second, kept = run(LISTS, copy)
    assert first == second, "quantiles of flat posteriors and their sums, to the last bit"
    assert len(kept) >= 3
    assert kept == compiled_then, "nothing is compiled twice"


def test_another_place_of_the_same_sources_compiles_nothing(copy: Path, tmp_path: Path) -> None:
    first, compiled_then = run(LISTS, copy)
    place = tmp_path / "elsewhere"
    shutil.copytree(copy, place / "cryorbit", copy_function=shutil.copyfile)
    second, kept = run(LISTS, place / "cryorbit", copy.parent / "kept")
    assert second == first
    assert kept == compiled_then


def test_a_changed_inner_function_of_another_file_counts(copy: Path) -> None:
    before, kept = run(SLICES, copy)
    inner, line = copy / "kernels" / "trilinear.py", "re[i] = value.real"
    assert inner.read_text().count(line) == 1
    inner.write_text(inner.read_text().replace(line, "re[i] = 2 * value.real"))
    after, others = run(SLICES, copy)
    assert after == [[2 * value for value in row] for row in before]
    assert others > kept, "what a process of before the change may be using is still there"


def test_a_change_to_any_file_changes_the_folder(copy: Path) -> None:
    package = copy / "kernels"
    before = compiled.sources_digest(package)
    assert before == compiled.sources_digest(Path(kernels.__file__).parent), "the place does not count"
    (package / "trilinear.py").write_text((package / "trilinear.py").read_text() + "\n")
    assert compiled.sources_digest(package) != before


def test_where_nothing_can_be_written_kernels_are_kept_elsewhere_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    roots = [tmp_path / "file" / "inside", tmp_path / "free"]
    monkeypatch.setattr(compiled, "_roots", lambda: iter(roots))
    choose = compiled.cache_folder.__wrapped__
    folder = choose()
    assert folder is not None
    assert folder.parent == tmp_path / "free"
    roots.pop()
    assert choose() is None


def test_a_folder_that_was_long_not_used_is_deleted_when_a_new_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_roots", lambda: iter([tmp_path]))
    for name, days in (("old", compiled.KEPT_DAYS + 1), ("young", compiled.KEPT_DAYS - 1)):
        (tmp_path / name / "kernels").mkdir(parents=True)
        then = (tmp_path / name).stat().st_mtime - 86400 * days
        os.utime(tmp_path / name, (then, then))
    folder = compiled.cache_folder.__wrapped__()
    assert {each.name for each in tmp_path.iterdir()} == {"young", folder.name}


def test_a_folder_in_use_counts_as_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_roots", lambda: iter([tmp_path]))
    folder = compiled.cache_folder.__wrapped__()
    os.utime(folder, (0, 0))
    assert compiled.cache_folder.__wrapped__() == folder
    assert folder.stat().st_mtime > 0


def test_the_setting_of_others_is_left_as_it_was() -> None:
    asked = compiled.CONFIG.CACHE_DIR
    compiled.compiled()(lambda x: x)
    assert asked == compiled.CONFIG.CACHE_DIR
