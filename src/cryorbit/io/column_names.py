"""What a column is called in the user's own file: tables of ``.cs`` files are kept under RELION's labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryorbit.core.errors import InputError
from cryorbit.io.cryosparc import CTF_LABELS, FILAMENT, OPTICS_LABELS
from cryorbit.io.cryosparc_files import SUFFIXES

FIELDS = {
    **{label: field for label, (field, _) in CTF_LABELS.items()},
    **OPTICS_LABELS,
    **dict.fromkeys(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"), "alignments3D/pose"),
    **dict.fromkeys(("rlnOriginXAngst", "rlnOriginYAngst"), "alignments3D/shift"),
    "rlnClassNumber": "alignments3D/class",
    "rlnRandomSubset": "alignments3D/split",
    "rlnImageName": "blob/path",
    "rlnImageSize": "blob/shape",
    "rlnMicrographName": "location/micrograph_path",
    "rlnHelicalTubeID": FILAMENT,
}


def column_name(label: str, file: Path) -> str:
    """The field of a ``.cs`` file that a label stands for, or the label itself where the file is of RELION."""
    return FIELDS.get(label, label) if file.suffix in SUFFIXES else label


def in_words(text: str, file: Path) -> str:
    """A text about ``file`` that names the columns as it does."""
    return re.sub(r"\brln\w+", lambda label: column_name(label[0], file), text)


@contextmanager
def in_words_of(file: Path) -> Iterator[None]:
    """Let errors about ``file`` name the columns as it does."""
    try:
        yield
    except InputError as error:
        if file.suffix not in SUFFIXES or error.file is None or Path(error.file) != file:
            raise
        problem, fix = (in_words(text, file) for text in (error.problem, error.fix or ""))
        raise InputError(problem, file=error.file, row=error.row, line=error.line, fix=fix or None) from error
