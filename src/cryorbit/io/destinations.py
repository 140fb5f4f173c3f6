"""Where results may be written: nothing that cryorbit has not made itself is ever replaced."""

from __future__ import annotations

import os
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path

from cryorbit.core.errors import InputError

WRITTEN = frozenset(
    ".bild .cs .csv .cxc .html .json .jsonl .md .mrc .mrcs .npz .pkl .png .pt .star .svg .xml".split()  # noqa: SIM905
)
"""Suffixes of the files that jobs write; files of other kinds may lie in a folder before a job begins there."""
LOG = "log.txt"
PREPARED = ("input.star", "input.cs", "start_*.mrc", "real")
"""Names that a job reads but never writes: what Python holds in memory is laid down under them before it begins."""
SAVE_FIRST = "give a file; what comes through a pipe is to be saved first"
"""What helps where a device or a pipe is given for a file."""
FOLDERS = frozenset({"checkpoint", "figures"})
"""Names of the folders that jobs make in theirs."""
LONGEST_NAME, LONGEST_PATH = 200, 3500
"""Bytes of a name and of a path: below the limits of file systems (255, 4096) by what cryorbit adds to them."""


def require_usable_path(path: Path) -> None:
    """Raise `InputError` unless files at ``path`` can be written, and named in STAR, JSON and HTML files.

    Such files are UTF-8, one line a name: no bytes that are not valid UTF-8, no line break or other control character.
    A device or a pipe is refused as well: it may never end, and cannot be read twice. So is a way back (``..``) out
    of a folder that is not there: what it leads to seems free until the folder is made, and then may be the user's.
    """
    text = str(path.absolute())
    shown = text.encode("utf-8", "backslashreplace").decode()
    fix = "rename the file or folder, or use another one"
    if shown != text:
        raise InputError("the path holds bytes that are not valid UTF-8", file=shown, fix=fix)
    if not text.isprintable():
        raise InputError("the path holds a line break or another control character", file=repr(shown), fix=fix)
    longest = max(path.parts, key=len, default="")
    if len(os.fsencode(longest)) > LONGEST_NAME or len(os.fsencode(text)) > LONGEST_PATH:
        raise InputError("the name is too long for the files of a job", file=f"{longest[:40]}...", fix="shorten it")
    for each in (path, *path.parents):
        if each.name == ".." and not os.path.lexists(each.parent):
            raise InputError(f"{each} leads out of a folder that is not there", file=path, fix="leave that part out")
    if is_device(path):
        raise InputError("this is a device or a pipe, not a file", file=path, fix=SAVE_FIRST)


def is_device(path: Path) -> bool:
    """Whether there is something at ``path`` that is neither a file nor a folder."""
    try:
        return path.exists() and not (path.is_file() or path.is_dir())
    except (OSError, ValueError):
        return False  # no name that the system accepts


def require_free_folder(folder: Path, made: Collection[str] = ()) -> None:
    """Raise `InputError` if results in ``folder`` could replace anything that is there.

    A folder that is not there, or is empty, is free. So is one that holds only hidden files and files of kinds that no
    job writes (notes, scripts, a batch system's log).

    Parameters
    ----------
    folder
        Where results are to be written.
    made
        Names, or patterns of names, that an earlier attempt made there.
    """
    require_usable_path(folder)
    _require_folder(folder)
    if others := other_files(folder, made):
        named = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        fix = "choose a new or an empty folder with -o"
        raise InputError(f"this folder holds other files, which results could replace: {named}", file=folder, fix=fix)


def require_new_file(file: Path) -> None:
    """Raise `InputError` if there is a file, or anything else, of that name already."""
    require_usable_path(file)
    _require_folder(file.parent)
    if os.path.lexists(file):
        raise InputError("the file exists", file=file, fix="choose another name, or remove it first")


def require_new_files(*files: Path | None) -> None:
    """Raise `InputError` unless each of the files, but for None, is new and none has the name of another."""
    named = [file for file in files if file is not None]
    for number, file in enumerate(named):
        require_new_file(file)
        if file.resolve() in {each.resolve() for each in named[:number]}:
            raise InputError("two results would be written to this file", file=file, fix="give each a name of its own")


def _require_folder(path: Path) -> None:
    """Raise `InputError` if ``path``, or the nearest of its parents that there is, is a file and no folder."""
    place = next(each for each in (path.absolute(), *path.absolute().parents) if os.path.lexists(each))
    if not place.is_dir():
        raise InputError("cannot make the folder: Not a directory", file=place, fix="choose another folder with -o")


def make_folder(path: Path) -> None:
    """Make a folder and its parents, or tell the user why it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fix = "choose another folder with -o"
        raise InputError(f"cannot make the folder: {error.strerror}", file=path.parent, fix=fix) from error


def other_files(folder: Path, made: Collection[str] = ()) -> list[str]:
    """Names in a folder that results could replace, but for `PREPARED` and those that are ``made``."""
    others = []
    for entry in folder.iterdir() if folder.is_dir() else ():
        passed_over = entry.name.startswith(".") or any(fnmatch(entry.name, each) for each in (*PREPARED, *made))
        written = entry.suffix.lower() in WRITTEN or entry.name == LOG or entry.name.lower() in FOLDERS
        if not passed_over and (entry.is_dir() or written):
            others.append(entry.name)
    return sorted(others)
