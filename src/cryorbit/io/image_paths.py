"""From the names of images in a table to files on disk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int

from cryorbit.core.errors import InputError

PARENTS = 3
"""How many parents of the table's folder are searched; RELION and cryoSPARC name files from the project folder."""
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


def parse_image_names(column: pd.Series, file: Path) -> ImageNames:
    """Take apart ``NNNNNN@stack.mrcs`` (counted from 1); a bare file name is its first image.

    Raises
    ------
    InputError
        A name is neither, or the number is 0.
    """
    numbers, stacks = [], []
    for row, name in enumerate(column.astype(str)):
        number, at, stack = name.rpartition("@")
        if (at and not re.fullmatch(r"0*[1-9][0-9]{0,9}", number)) or not stack:
            raise InputError(
                f"the image name {name!r} is not of the form NNNNNN@stack.mrcs with a number from 1",
                file=file,
                row=int(column.index[row]) + 1,
                mend="correct rlnImageName or take the row out",
            )
        numbers.append(int(number or 1) - 1)
        stacks.append(stack)
    codes, names = pd.factorize(np.array(stacks, dtype=object))
    return ImageNames(tuple(names), codes.astype(np.int64), np.array(numbers, dtype=np.int64))


def search_folders(table: Path, data_dir: Path | str | None, cwd: bool = True) -> list[Path]:
    """Where relative names are looked for, in order: data folder, the table's folder, its parents, current folder."""
    home = table.absolute().parent
    given = [] if data_dir is None else [Path(data_dir).absolute()]
    return [*given, home, *list(home.parents)[:PARENTS], *([Path.cwd()] if cwd else [])]


def find_file(name: str, folders: Sequence[Path]) -> Path | None:
    """The first file of that name, or with the other of ``.mrc`` and ``.mrcs``, in ``folders``; None when none has it.

    The first folder is also asked for the bare file name, so that a data folder helps with absolute names that
    were valid elsewhere.
    """
    places: Iterable[Path] = [folder / name for folder in folders] + [folders[0] / Path(name).name]
    for place in places:
        if is_file(place):
            return place
        if place.suffix in _OTHER_SUFFIX and is_file(other := place.with_suffix(_OTHER_SUFFIX[place.suffix])):
            return other
    return None


def is_file(path: Path) -> bool:
    """Whether there is such a file; no file has a name that the system does not accept."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def locate(names: Sequence[str], table: Path, data_dir: Path | str | None) -> tuple[Path, ...]:
    """The file of each name; a name that leads nowhere becomes the place where it should be.

    Metadata without images are legal until images are wanted; the checks tell what is missing.
    """
    folders = search_folders(table, data_dir)
    return tuple(find_file(name, folders) or folders[0] / name for name in names)
