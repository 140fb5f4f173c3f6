"""Which other kind of file something is, known by its first bytes: tables of other programs, files not unpacked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from cryorbit.core.errors import InputError

HEAD_BYTES = 1024
"""Bytes that tell every kind below apart."""
MRC_STAMP = (208, b"MAP")
"""Where an MRC file says that it is one."""
_TABLES = "give the particle table, a RELION .star or a cryoSPARC .cs file"


class ForeignFormat(NamedTuple):
    """A kind of file that holds no particle table: what it is, and what the user can do."""

    name: str
    fix: str


BEGINNINGS = {
    b"\x94CSDAT": ForeignFormat(
        "a .cs file in cryoSPARC's compressed form", "save it as a plain .cs file: cryosparc-tools, Dataset.save"
    ),
    b"version https://git-lfs": ForeignFormat("a pointer of Git LFS, not the file", "fetch the file: git lfs pull"),
    b"\x1f\x8b\x08": ForeignFormat("compressed (gzip)", "unpack it first"),
    b"BZh": ForeignFormat("compressed (bzip2)", "unpack it first"),
    b"\xfd7zXZ": ForeignFormat("compressed (xz)", "unpack it first"),
    b"\x28\xb5\x2f\xfd": ForeignFormat("compressed (zstd)", "unpack it first"),
    b"PK\x03\x04": ForeignFormat("a zip archive", f"unpack it and {_TABLES}"),
    b"\x89HDF": ForeignFormat("an HDF5 file, as EMAN writes", _TABLES),
    b"II*\0": ForeignFormat("a TIFF image", _TABLES),
    b"MM\0*": ForeignFormat("a TIFF image", _TABLES),
    b"\x80\x04": ForeignFormat("a pickle, as cryoDRGN writes", _TABLES),
    b"SQLite format 3": ForeignFormat("a database, as cisTEM and Scipion write", f"export the particles and {_TABLES}"),
    b"<?xml": ForeignFormat("an XML file", _TABLES),
}
_EXTRACT = "extract the particles and give their table, a RELION .star or a cryoSPARC .cs file"
LINES = {
    rb"#LSX": ForeignFormat("a list of images of EMAN", _TABLES),
    rb"image_name\s+x_coord": ForeignFormat("a table of picks of Topaz, not of particles", _EXTRACT),
    rb"(-?\d+[ \t]+){3,}-?\d+[ \t]*\r?\n": ForeignFormat("a file of boxes (EMAN, crYOLO), not of particles", _EXTRACT),
    rb"[^\s#]+\.mrcs?[ \t]*(\r?\n|$)": ForeignFormat(
        "a list of stacks, as cryoDRGN takes, without CTFs", "give the table that the stacks came with, .star or .cs"
    ),
}
"""How text files of other programs begin, as regular expressions."""
IMAGES = ForeignFormat("an MRC file of images, not a table", "give the .star or .cs file that names its images")


def foreign_format(head: bytes) -> ForeignFormat | None:
    """The kind of file that begins with ``head``, `HEAD_BYTES` or less of it; None where none is recognised."""
    place, stamp = MRC_STAMP
    if head[place : place + len(stamp)] == stamp:
        return IMAGES
    binary = next((known for beginning, known in BEGINNINGS.items() if head.startswith(beginning)), None)
    return binary or next((known for beginning, known in LINES.items() if re.match(beginning, head.lstrip())), None)


def refuse_foreign(head: bytes, file: Path) -> None:
    """Raise `InputError` if ``file``, which begins with ``head``, is known to be no particle table."""
    known = foreign_format(head)
    if known is not None:
        raise InputError(f"this is {known.name}", file=file, fix=known.fix)


def refuse_folder(path: Path) -> None:
    """Raise `InputError` if ``path`` is a folder; the tables in it are offered."""
    if not path.is_dir():
        return
    inside = sorted(each.name for each in path.iterdir() if each.suffix in (".star", ".cs", ".csg"))
    offered = f"give one of the tables in it: {', '.join(inside[:5])}" if inside else _TABLES
    raise InputError("this is a folder, not a particle table", file=path, fix=offered)
