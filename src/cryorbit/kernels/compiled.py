"""Functions compiled by numba, kept from one process to the next, and never older than their sources.

Numba keeps what it compiled beside a digest of the function's file; what was inlined from other files is not in it. So
kernels are kept in a folder whose name is a digest of all files of this package: a change to any of them begins a new
folder, and processes of before and after the change do not disturb each other. Where the files lie does not count: all
installations and copies of the same sources share what one of them has compiled.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numba
from platformdirs import user_cache_path

CONFIG: Any = numba.config
KEPT_DAYS = 30
"""Folders that no process has used for so long are deleted when a new one is made."""
IN_ORDER = {"nnan", "nsz"}
"""For ``fastmath``: maxima may be taken in vectors; sums stay in the order they are written in, and round alike."""


def compiled(
    *, parallel: bool = False, fastmath: bool | set[str] = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function by numba when it is first called; what was compiled before from the same sources is loaded."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        folder = cache_folder()
        jit = numba.njit(parallel=parallel, fastmath=fastmath, cache=folder is not None)
        with _kept_in(folder):
            dispatcher: Callable[..., Any] = jit(function)
        return dispatcher

    return decorate


def inlined(*, fastmath: bool | set[str] = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A part of compiled functions: its instructions become theirs, so that it need not be kept by itself.

    Were it called, a process would run whichever copy it met first: the one compiled now, or the one within a function
    that was kept, whose sums may be in another order. The first run on a machine would then differ from all later ones.
    """
    decorator: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(fastmath=fastmath, forceinline=True)
    return decorator


@dataclass(frozen=True, slots=True)
class FolderOfSources:
    """Where numba keeps a function of these sources: what it asks of ``NUMBA_CACHE_LOCATOR_CLASSES``.

    Its own classes keep functions of each folder of sources apart.

    Attributes
    ----------
    line
        The function's first line, which tells it from others of its name.
    """

    line: int

    @classmethod
    def from_function(cls, function: Callable[..., Any], _: str) -> FolderOfSources:
        """Of a function and the path of its file."""
        return cls(function.__code__.co_firstlineno)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(cache_folder())

    def ensure_cache_path(self) -> None:
        """Make the folder again, should it have been deleted."""
        Path(self.get_cache_path()).mkdir(parents=True, exist_ok=True)

    def get_source_stamp(self) -> str:
        """What numba compares before it takes what was kept: the folder, which is the sources' own."""
        return self.get_cache_path()

    def get_disambiguator(self) -> str:
        """A part of the names of files."""
        return str(self.line)


@contextmanager
def _kept_in(folder: Path | None) -> Iterator[None]:
    """Settings that numba reads when a function is decorated, and never again for that function."""
    place = f"{__name__}.{FolderOfSources.__name__}" if folder else ""
    # numba before 0.62 knows the folder alone, and keeps functions of each folder of sources apart in it
    settings = {"CACHE_DIR": str(folder or ""), "CACHE_LOCATOR_CLASSES": place}
    asked = {name: getattr(CONFIG, name, "") for name in settings}
    vars(CONFIG).update(settings)
    try:
        yield
    finally:
        vars(CONFIG).update(asked)


@cache
def cache_folder() -> Path | None:
    """Where kernels of these sources are kept; None if nothing can be written anywhere, and nothing is kept."""
    for root in filter(Path.is_absolute, _roots()):
        folder = root / sources_digest(Path(__file__).parent)
        is_new = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            os.utime(folder)
        except OSError:
            continue
        if is_new:
            _delete_unused(root)
        return folder
    return None


def sources_digest(package: Path) -> str:
    """Digest of the names and contents of the Python files of a folder."""
    digest = hashlib.sha256()
    for file in sorted(package.glob("*.py")):
        digest.update(f"{file.name} {file.stat().st_size}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:32]


def _roots() -> Iterator[Path]:
    """Folders that may hold kernels, best first: that of NUMBA_CACHE_DIR, the user's, the package's."""
    if CONFIG.CACHE_DIR:
        yield Path(CONFIG.CACHE_DIR) / "cryorbit-kernels"
    yield user_cache_path("cryorbit") / "kernels"
    yield Path(__file__).parent / "__pycache__" / "kept"


def _delete_unused(root: Path) -> None:
    """Delete the folders of sources that were long not used."""
    for folder in root.iterdir():
        # another process may be deleting it as well
        with suppress(OSError):
            if folder.stat().st_mtime < time.time() - 86400 * KEPT_DAYS:
                shutil.rmtree(folder)
