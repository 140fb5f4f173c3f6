"""Files that are either whole or not there: written beside, flushed, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTS = ".*.part*"
"""Temporary names."""


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary name beside ``path``; what was written there takes the name ``path`` when the block ends.

    A reader, also after a crash, meets the old file or the new one. When the block raises, the temporary file is
    removed and ``path`` is as it was. The temporary name keeps the suffix, as some writers choose the format by it.

    Parameters
    ----------
    path
        The file to make or to replace; its folder is made when it is not there.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    except (OSError, RuntimeError) as error:
        if not isinstance(error, OSError) or error.errno is None:
            _require_room(temporary, target)
        elif error.filename in (None, str(temporary), temporary):
            error.filename = str(target)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove what processes that were killed had begun to write in a folder, at which nobody else is working."""
    for part in folder.glob(PARTS):
        part.unlink(missing_ok=True)


def _require_room(temporary: Path, target: Path) -> None:
    """Raise the system's own error, named as of ``target``, if nothing more can be written to ``temporary``.

    Libraries tell that they wrote less than they should, and not why.
    """
    try:
        with temporary.open("ab", buffering=0) as stream:
            stream.write(bytes(2**20))
    except OSError as error:
        error.filename = str(target)
        raise


def _sync(path: Path) -> None:
    """Have the system put a file or folder on the disk, so that a rename never precedes its content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
