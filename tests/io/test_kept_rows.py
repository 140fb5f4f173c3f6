"""Rows that are kept while a job runs, in memory and in a file."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.kept_rows import Rows, RowsInFile, RowsInMemory, require_scratch_folder

COUNT, WIDTH = 20, 7


@pytest.fixture(params=["memory", "file"])
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rows]:
    made = RowsInMemory(COUNT, WIDTH) if request.param == "memory" else RowsInFile(tmp_path, COUNT, WIDTH)
    yield made
    made.close()


@pytest.mark.parametrize("width", [WIDTH, 3])
@pytest.mark.parametrize("places", [[], [5], [2, 3, 4, 5], [9, 3, 4, 4, 0], [19, 0]])
def test_what_was_written_is_read(rows: Rows, places: list[int], width: int, generator: torch.Generator) -> None:
    values = torch.randn(COUNT, WIDTH, generator=generator).half()
    # in parts, the last before the first
    rows.write(12, values[12:])
    rows.write(0, values[:12])
    assert torch.equal(rows.read(torch.tensor(places, dtype=torch.long), width), values[places, :width])


def test_a_file_takes_the_disk_alone(tmp_path: Path) -> None:
    """Nothing of it can be seen, so nothing can be left of it: not even by a process that is killed."""
    rows = RowsInFile(tmp_path, COUNT, WIDTH)
    rows.write(0, torch.ones(COUNT, WIDTH).half())
    assert list(tmp_path.iterdir()) == []
    rows.close()


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    """A limit of the size of files stands for it."""
    program = f"""
import resource, signal, torch
from pathlib import Path
from cryorbit.io.kept_rows import RowsInFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
rows = RowsInFile(Path({str(tmp_path)!r}), 10, 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
rows.write(0, torch.ones(2, 1000).half())
try:
    rows.write(2, torch.ones(1, 1000).half())
except OSError as error:
    print(error.strerror)
assert float(rows.read(torch.arange(2), 1000).sum()) == 2000
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"


def test_a_folder_that_takes_no_files_is_refused(tmp_path: Path) -> None:
    require_scratch_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"nowhere: cannot create files in the scratch folder \(No such file") as error:
        require_scratch_folder(tmp_path / "nowhere")
    assert "--scratch" in str(error.value)
