"""Faults of the machine that a user can mend, told as such: a full disk, no permission, no memory."""

from __future__ import annotations

import errno

from cryorbit.core.errors import InputError

_MENDS = {
    errno.ENOSPC: "make room; a job that had begun goes on with `cryorbit resume`",
    errno.EDQUOT: "make room in your quota; a job that had begun goes on with `cryorbit resume`",
    errno.EACCES: "check the permissions, or write elsewhere with -o",
    errno.EPERM: "check the permissions, or write elsewhere with -o",
    errno.EROFS: "write elsewhere with -o",
    errno.EIO: "check the disk and the network; a job that had begun goes on with `cryorbit resume`",
}
_NO_MEMORY = ("OutOfMemoryError", "MemoryError", "_ArrayMemoryError")
_ALLOCATORS = ("can't allocate memory", "not enough memory")


def machine_fault(error: Exception) -> InputError | None:
    """What to tell the user of an error of the system; None when it is a fault of the program."""
    if isinstance(error, OSError) and error.errno in _MENDS:
        return InputError(str(error.strerror), file=error.filename, mend=_MENDS[error.errno])
    if type(error).__name__ in _NO_MEMORY or any(words in str(error) for words in _ALLOCATORS):
        mend = "close other programs, give a smaller --memory, or larger pixels (cryorbit resample)"
        return InputError("the memory is exhausted", mend=mend)
    return None
