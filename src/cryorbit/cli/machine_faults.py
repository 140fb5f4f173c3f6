"""Faults of the machine that a user can fix, reported as such: a full disk, no permission, no memory."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from cryorbit.core.errors import InputError

_GOES_ON = "continue a job that had started with `cryorbit resume`"
_PERMISSIONS = "check the permissions, or write elsewhere with -o"
_GONE = f"files were moved or removed while they were in use: put them back; {_GOES_ON}"
_DISK = f"check the disk and the network; {_GOES_ON}"
_FIXES = {
    errno.ENOSPC: f"make room; {_GOES_ON}",
    errno.EDQUOT: f"make room in your quota; {_GOES_ON}",
    errno.EFBIG: f"raise the limit of file sizes (ulimit -f), or write to another disk; {_GOES_ON}",
    errno.EACCES: _PERMISSIONS,
    errno.EPERM: _PERMISSIONS,
    errno.EROFS: "write elsewhere with -o",
    errno.EIO: _DISK,
    errno.ESTALE: _DISK,
    errno.ETIMEDOUT: _DISK,
    errno.ENOTCONN: _DISK,
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _GONE,
    errno.EISDIR: "a folder has the name of a file: rename it, or write elsewhere with -o",
    errno.ENAMETOOLONG: "use shorter names for files and folders",
    errno.ELOOP: "remove one of the symbolic links that form a circle",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the limit of open files (ulimit -n)",
}
_NO_MEMORY = ("OutOfMemoryError", "MemoryError", "_ArrayMemoryError")
_ALLOCATORS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "failed to map segment",
    "can't start new thread",
)
_LOST = ("connection closed by peer", "connection reset by peer", "application timeout caused pair closure")
"""Of gloo, by which processes speak to each other."""


class ProcessLostError(InputError):
    """Another process of the job has ended, for a reason of its own."""


def machine_fault(error: Exception) -> InputError | None:
    """What to tell the user of an error of the system; None when it is a fault of the program."""
    texts = [str(each).lower() for each in _chain(error)]
    if type(error).__name__ in _NO_MEMORY or any(words in text for words in _ALLOCATORS for text in texts):
        fix = (
            "close other programs, raise the memory limit (ulimit -v), or use a smaller --memory or larger pixels "
            "(cryorbit resample)"
        )
        return InputError("out of memory", fix=fix)
    if any(words in text for words in _LOST for text in texts):
        fix = f"see its own message; {_GOES_ON}"
        return ProcessLostError("another process of this job has ended", fix=fix)
    if isinstance(error, OSError) and error.errno in _FIXES:
        return InputError(str(error.strerror), file=error.filename, fix=_FIXES[error.errno])
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those it came from: a library that cannot be loaded does not say itself that memory was short."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
