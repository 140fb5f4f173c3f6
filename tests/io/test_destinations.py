"""Where results may go: folders that hold nothing they could replace, names that files can have."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cryorbit.core.errors import InputError
from cryorbit.io.destinations import require_free_folder, require_new_file, require_usable_path
from cryorbit.io.job_folder import JobFolder


@pytest.mark.parametrize(
    "name", ["particles.star", "MAP.MRC", "log.txt", "job.md", "checkpoint/", "Extract/", "figures", "checkpoint"]
)
def test_a_folder_with_files_that_a_job_could_replace_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.mkdir() if name.endswith("/") else file.write_text("mine")
    with pytest.raises(InputError, match=rf"{file.name}\n  fix: choose a new or an empty folder"):
        require_free_folder(tmp_path)


def test_notes_scripts_and_hidden_files_are_no_hindrance(tmp_path: Path) -> None:
    for name in ("notes.txt", "submit.sh", "slurm-1.out", "settings.toml", ".DS_Store"):
        (tmp_path / name).write_text("mine")
    require_free_folder(tmp_path)
    require_free_folder(tmp_path / "new")


def test_a_file_that_exists_is_refused_even_as_a_dangling_link(tmp_path: Path) -> None:
    require_new_file(tmp_path / "a")
    (tmp_path / "a").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="the file exists"):
        require_new_file(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (os.fsdecode(b"lat\xe9n"), r"lat\\udce9n/job: .* not valid UTF-8"),
        ("two\nlines", "line break"),
        ("tab\there", "control character"),
        ("x" * 300, "too long"),
        ("y/" * 2000, "too long"),
    ],
)
def test_a_path_that_no_file_can_name_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as told:
        require_usable_path(tmp_path / name / "job")
    str(told.value).encode()


@pytest.mark.parametrize("name", ["ü ñ 漢字", "a 'b' \"c\" #d", "x" * 200])
def test_a_strange_path_that_files_can_name_is_taken(tmp_path: Path, name: str) -> None:
    require_usable_path(tmp_path / name)


def test_a_device_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), Path("/dev/null"), tmp_path / "pipe"):
        with pytest.raises(InputError, match="a device or a pipe"):
            require_usable_path(path)


def test_a_folder_that_was_made_and_left_before_the_job_began_is_free(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "lock").touch()
    JobFolder.create(tmp_path, verb="abinit", config={})


def test_a_folder_of_checkpoints_of_something_else_is_not(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "state.pt").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        JobFolder.create(tmp_path, verb="abinit", config={})


@pytest.mark.parametrize("require", [require_new_file, require_free_folder])
def test_a_way_back_out_of_a_folder_that_is_not_there_is_refused(
    tmp_path: Path, require: Callable[[Path], None]
) -> None:
    """It leads to a file of the user's as soon as the folder is made."""
    (tmp_path / "particles.star").write_text("mine")
    with pytest.raises(InputError, match=r"leads out of a folder that is not there(.|\n)*leave that part out"):
        require(tmp_path / "not_there" / ".." / "particles.star")
    (tmp_path / "there").mkdir()
    require(tmp_path / "there" / ".." / "new")
