"""cryoSPARC's files on disk: ``.cs`` records, the passthrough files beside them, and ``.csg`` groups that name both."""

from __future__ import annotations

import re
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from cryorbit.core.errors import InputError
from cryorbit.io.cryosparc import NEEDED_CTF, NEEDED_IMAGES, USED, names_of, texts, with_fields
from cryorbit.io.foreign_formats import HEAD_BYTES, refuse_folder, refuse_foreign

SUFFIXES = (".cs", ".csg")
"""Names of particle files of cryoSPARC."""
LONGEST_HEADER = 2**22
"""Bytes of a header that are still parsed: 1,000 classes make a tenth of it."""
NO_CTF = "; or give --no-ctf for images that have no CTF, such as negative stain"
_GIVE_CS = "give the particles .cs file of a cryoSPARC job"
_DAMAGED = (
    *(ValueError, TypeError, EOFError, SyntaxError, TokenError, OverflowError, MemoryError, RecursionError),
    *(NotImplementedError, BadZipFile),
)
"""What numpy raises on files that are not arrays."""
_METAFILE = re.compile(r"""^\s*metafile:\s*['"]?>?(?P<name>[^'"\n]+?)['"]?\s*$""", re.MULTILINE)


def read_cs(path: Path | str, passthrough: Path | str | None = None, *, ctf: bool = True) -> np.ndarray:
    """The records of a ``.cs`` file, with the fields that only its passthrough file has, joined on ``uid``.

    Parameters
    ----------
    path
        The file of the job's own results, or the ``.csg`` file that names it and its passthrough files.
    passthrough
        The file of the fields handed through; without it, those called passthrough beside ``path`` that have all the
        particles are taken. Others beside it are passed over.
    ctf
        Whether fields of the CTF are needed.

    Raises
    ------
    InputError
        A file is not a ``.cs`` file, lacks particles, or all together lack image or CTF fields.
    """
    file = Path(path)
    file, *named = _named_in_group(file) if file.suffix == ".csg" else [file]
    records = _load(file)
    if passthrough is not None:
        records = _joined(records, file, Path(passthrough))
        others: list[Path] = []
    else:
        others = [*named, *(other for other in _passthroughs(file) if other not in named)]
    passed_over = []
    for other in others:
        try:
            records = _joined(records, file, other)
        except InputError as error:
            passed_over.append(f"{other.name}: {error.problem}")
    missing = [name for name in (*NEEDED_IMAGES, *NEEDED_CTF) if name not in names_of(records)]
    if missing and (ctf or missing != [*NEEDED_CTF]):
        unfit = f" (passed over: {'; '.join(passed_over)})" if passed_over else ""
        raise InputError(
            f"there is no field {missing[0]} "
            f"({len(missing)} of {len(NEEDED_IMAGES) + len(NEEDED_CTF)} needed fields are missing)",
            file=file,
            fix=f"{_fix_for_missing(file)}{unfit}{NO_CTF if missing == [*NEEDED_CTF] else ''}",
        )
    return records


def _fix_for_missing(file: Path) -> str:
    """What the user can do where ``file``, with what was found beside it, lacks fields."""
    if not _is_passthrough(file):
        return "give the passthrough file of the job too, or put it beside this one"
    beside = sorted(other.name for other in file.absolute().parent.glob("*.cs") if not _is_passthrough(other))
    offered = f": {', '.join(beside[:3])}" if beside else ""
    return f"this is a passthrough file: give the job's own particles file, beside which it is found{offered}"


def write_cs(path: Path, records: np.ndarray) -> None:
    """Write records as a ``.cs`` file to a path that is not yet in use."""
    with path.open("wb") as file:
        np.save(file, records, allow_pickle=False)


def _named_in_group(group: Path) -> list[Path]:
    """The ``.cs`` files that a ``.csg`` file names, those of the job's own results before passthrough files."""
    refuse_folder(group)
    try:
        text = group.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(f"the file cannot be read ({problem})", file=group, fix=_GIVE_CS) from error
    names = dict.fromkeys(match["name"].strip() for match in _METAFILE.finditer(text))
    if not names:
        raise InputError("the group names no .cs file (metafile)", file=group, fix=_GIVE_CS)
    files = sorted((group.parent / name for name in names), key=_is_passthrough)
    absent = [file for file in files if not file.is_file()]
    if absent:
        raise InputError(
            f"the group names {absent[0].name}, which is not beside it", file=group, fix=f"put it there, or {_GIVE_CS}"
        )
    return files


def _load(file: Path) -> np.ndarray:
    refuse_folder(file)
    try:
        with file.open("rb") as handle:
            refuse_foreign(handle.peek(HEAD_BYTES)[:HEAD_BYTES], file)
            records: np.ndarray = np.load(handle, allow_pickle=False, max_header_size=LONGEST_HEADER)
    except OSError as error:
        raise InputError(
            f"the file cannot be read ({error.strerror or error})", file=file, fix="check the name and the permissions"
        ) from error
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(f"this is not a .cs file ({error})", file=file, fix=_GIVE_CS) from error
    names = names_of(records) if isinstance(records, np.ndarray) else ()
    if "uid" not in names or records.ndim != 1:
        raise InputError("this is not a .cs file of particles (no records with a uid)", file=file, fix=_GIVE_CS)
    if not len(records):
        raise InputError("the file has no particles", file=file, fix="give the file of the particles that were kept")
    # what numpy holds in the other byte order, pandas and torch do not take
    records = records.astype(records.dtype.newbyteorder("="), copy=False)
    _check_types(records, file)
    twice = pd.Series(records["uid"]).duplicated().to_numpy()
    if twice.any():
        row = int(twice.argmax()) + 1
        raise InputError("a uid occurs twice", file=file, row=row, fix="remove duplicate particles in cryoSPARC")
    _check_split(records, file)
    return records


def _check_split(records: np.ndarray, file: Path) -> None:
    """Raise ``InputError`` if a particle is in a half-set that there is not."""
    if "alignments3D/split" not in names_of(records):
        return
    split = records["alignments3D/split"]
    wrong = (split > 1) & (split != np.iinfo(split.dtype).max)
    if wrong.any():
        row = int(wrong.argmax()) + 1
        problem = f"alignments3D/split is {split[row - 1]}, not 0 or 1"
        raise InputError(problem, file=file, row=row, fix="split the particles again in cryoSPARC")


def _check_types(records: np.ndarray, file: Path) -> None:
    for name in set(names_of(records)) & USED.keys():
        kinds, shape = USED[name]
        if records[name].dtype.kind not in kinds or records[name].shape[1:] != shape:
            raise InputError(f"the field {name} is not of the expected type", file=file, fix=_GIVE_CS)
        if "S" in kinds and not all(map(str.isprintable, texts(records, name))):
            raise InputError(f"a name in the field {name} is damaged", file=file, fix="copy or export the file again")


def _is_passthrough(file: Path) -> bool:
    return "passthrough" in file.name


def _passthroughs(file: Path) -> list[Path]:
    """The passthrough files beside ``file``; those called as programs of cryoSPARC call them come first."""
    if _is_passthrough(file):
        return []
    beside = sorted(other for other in file.absolute().parent.glob("*.cs") if _is_passthrough(other))
    return sorted(beside, key=lambda other: "_passthrough_particles" not in other.name)


def _joined(records: np.ndarray, file: Path, other: Path) -> np.ndarray:
    """``records`` with the fields that only ``other`` has; `InputError` when a particle is not there."""
    others = _load(other)
    rows = pd.Index(others["uid"]).get_indexer(records["uid"])
    if (rows < 0).any():
        raise InputError(
            f"particles of {file.name} are missing", file=other, fix="give the passthrough file of the same job"
        )
    extra = {name: others[name][rows] for name in names_of(others) if name not in names_of(records)}
    return with_fields(records, extra)
