"""From the names of images in a table to files on disk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int

from cryorbit.core.errors import InputError

PARENTS = 3
"""How many parents of the table's folder are searched; RELION and cryoSPARC name files from the project folder."""
STACK_MARK = ":mrcs"
"""What RELION takes behind a name in ``.mrc`` to mean a stack, as it does behind no name in ``.mrc`` without it."""
_COUNT_FROM_1 = "count the images of each stack from 1: where they are counted from 0, add 1 to every number"
_OTHER_SUFFIX = {".mrc": ".mrcs", ".mrcs": ".mrc"}


@dataclass(frozen=True, slots=True)
class ImageNames:
    """Names of N images taken apart.

    Attributes
    ----------
    names
        The distinct stack names, as they stand in the table.
    name_index
        Which of ``names`` each image has.
    section
        Place in the stack, from 0.
    """

    names: tuple[str, ...]
    name_index: Int[np.ndarray, " n"]
    section: Int[np.ndarray, " n"]


def number_and_stack(name: str) -> tuple[str, str]:
    """What stands before the first ``@`` of an image name, and the stack; names of folders may have one, too."""
    number, at, stack = name.removesuffix(STACK_MARK).partition("@")
    return (number, stack) if at else ("", number)


def parse_image_names(column: pd.Series, file: Path) -> ImageNames:
    """Take apart ``NNNNNN@stack.mrcs`` (counted from 1); a bare file name is its first image, `STACK_MARK` is dropped.

    Raises
    ------
    InputError
        A name is neither, or the number is 0.
    """
    numbers, stacks = [], []
    for row, name in enumerate(column.astype(str)):
        number, stack = number_and_stack(name)
        if ("@" in name and not re.fullmatch(r"0*[1-9][0-9]{0,9}", number)) or not stack:
            raise InputError(
                f"the image name {name!r} is not of the form NNNNNN@stack.mrcs with a number from 1",
                file=file,
                row=int(column.index[row]) + 1,
                fix=_COUNT_FROM_1 if number and not number.strip("0") else "correct rlnImageName or take the row out",
            )
        numbers.append(int(number or 1) - 1)
        stacks.append(stack)
    codes, names = pd.factorize(np.array(stacks, dtype=object))
    return ImageNames(tuple(names), codes.astype(np.int64), np.array(numbers, dtype=np.int64))


def search_folders(table: Path, data_dir: Path | str | None, cwd: bool = True) -> list[Path]:
    """Where relative names are looked for, in order: data folder, the table's folder, its parents, current folder.

    Where the table is a link, the folder of the file that it leads to and its parents come after its own.

    Raises
    ------
    InputError
        The data folder is not there.
    """
    homes = list(dict.fromkeys((table.absolute().parent, table.resolve().parent)))
    near = [folder for home in homes for folder in (home, *list(home.parents)[:PARENTS])]
    if data_dir is not None and not _is_folder(Path(data_dir)):
        raise InputError("there is no such folder", file=data_dir, fix="correct --data-dir, or leave it out")
    named = [] if data_dir is None else [Path(data_dir).absolute()]
    return [*named, *near, *([Path.cwd()] if cwd else [])]


def find_file(name: str, folders: Sequence[Path]) -> Path | None:
    """The first file of that name, or the other of ``.mrc`` and ``.mrcs``, in ``folders``; None when none has it."""
    for place in (folder / name for folder in folders):
        if is_file(place):
            return place
        if place.suffix in _OTHER_SUFFIX and is_file(other := place.with_suffix(_OTHER_SUFFIX[place.suffix])):
            return other
    return None


def find_by_bare_name(name: str, folder: Path) -> Path | None:
    """The file in ``folder`` that is called as ``name`` is without its folders; None when there is none."""
    return find_file(Path(name).name, [folder])


def near_names(place: Path) -> list[str]:
    """Files that are there beside ``place``, which is not, under nearly its name.

    Letter case and endings in ``.mrc`` and ``.mrcs``, of which there may be two, make no difference.
    """
    try:
        beside = sorted(other.name for other in place.parent.iterdir() if _bare(other.name) == _bare(place.name))
    except (OSError, ValueError):
        return []
    return [name for name in beside if is_file(place.with_name(name))]


def _bare(name: str) -> str:
    return re.sub(r"(\.mrcs?)+$", "", name.lower())


def fix_for_missing(first: Path) -> str:
    """What the user can do where image files are not where they should be, the ``first`` of them at that place."""
    near = near_names(first)
    if near:
        return f"rename the files, or correct their names in the table: there is {near[0]} in that folder"
    return "give the folder that the names are relative to, or that holds the files, with --data-dir"


def is_file(path: Path) -> bool:
    """Whether there is such a file; no file has a name that the system does not accept."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def locate(names: Sequence[str], table: Path, data_dir: Path | str | None) -> tuple[Path, ...]:
    """The file of each name; a name that leads nowhere becomes the place where it should be.

    The first folder is also asked for bare file names, so that a data folder helps with absolute names that were valid
    elsewhere; but not where two names of the table would lead to the same file in this way. Metadata without images are
    legal until images are wanted; the checks tell what is missing.
    """
    folders = search_folders(table, data_dir)
    files = [find_file(name, folders) for name in names]
    guesses = [None if file else find_by_bare_name(name, folders[0]) for name, file in zip(names, files, strict=True)]
    claims = Counter(str(file) for file in (*files, *guesses) if file is not None)
    return tuple(
        file or (guess if guess is not None and claims[str(guess)] == 1 else _expected(name, folders))
        for name, file, guess in zip(names, files, guesses, strict=True)
    )


def _expected(name: str, folders: Sequence[Path]) -> Path:
    """Where a file that is not there should be: in the first folder that has its folder, else in the first of all."""
    places = [folder / name for folder in folders]
    return next((place for place in places if _is_folder(place.parent)), places[0])


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def file_identity(path: Path) -> tuple[int, int] | str:
    """What makes a file itself, whatever its path: device and inode; the path where there is no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return str(path)
    return status.st_dev, status.st_ino


def relion_name(name: str, section: int) -> str:
    """``NNNNNN@stack`` for image ``section``, from 0, of a stack, such that RELION reads it as a stack."""
    return f"{section + 1:06d}@{name}" + (STACK_MARK if name.endswith(".mrc") else "")


def names_from(table: Path, names: Sequence[str], files: Sequence[Path]) -> list[str]:
    """Names of ``files`` in a table at ``table``: as they came where that leads to the same file, else in full.

    A name that came is looked for from the folder of ``table`` and its parents, RELION's project folder among them.
    """
    folders = search_folders(table, None, cwd=False)
    chosen = []
    for name, file in zip(names, files, strict=True):
        reached = find_file(name, folders)
        same = reached is not None and reached.resolve() == file.resolve()
        chosen.append(name if same else str(file.absolute()))
    return chosen
