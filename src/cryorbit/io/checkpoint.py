"""Checkpoints that know what they are: of which job, of which layout, and whether they are as they were written.

A checkpoint is what ``torch.save`` writes, a zip archive, whose comment (zip has room for one at its very end) holds a
seal: the version, the layout of the states, the job, and the SHA-256 of all of it. Whatever else finds its way into the
file, by a bad disk, by a copy from another job or by hand, is told instead of computed with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

import torch

from cryorbit import __version__
from cryorbit.core.errors import InputError

LAYOUT = 3
"""Number of the layout of the recipes' states; to be raised when a checkpoint of before can no longer be read."""
_END = 22
"""Bytes of the end record of a zip archive without a comment; the last two are the length of the comment."""
_SEARCHED = _END + 2**10
FIX = "delete the folder checkpoint and resume: the job then starts from its beginning"


def write_checkpoint(file: Path, state: Mapping[str, Any], job: str) -> None:
    """Write ``state`` (tensors, numbers, strings and containers of them) of the job with the id ``job``."""
    torch.save(dict(state), file)
    with file.open("r+b") as stream:
        length = stream.seek(0, 2) - 2
        said = {"version": __version__, "layout": LAYOUT, "job": job}
        comment = json.dumps({**said, "sha256": _digest(stream, length, said)}).encode()
        stream.seek(length)
        stream.write(len(comment).to_bytes(2, "little") + comment)


def read_checkpoint(file: Path, job: str) -> dict[str, Any]:
    """Read the checkpoint of the job with the id ``job``, tensors on the CPU.

    Raises
    ------
    InputError
        The file is damaged, of another job, or of a version of cryorbit with another layout.
    """
    try:
        _check(file, job)
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("the checkpoint is damaged", file=file, fix=FIX) from error
    return state


def _check(file: Path, job: str) -> None:
    """Hold the seal of a checkpoint against its content and the job."""
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(size - _SEARCHED, 0))
        tail = stream.read()
        end = tail.rfind(b"PK\x05\x06")
        comment = tail[end + _END :]
        if end < 0 or len(comment) != int.from_bytes(tail[end + _END - 2 : end + _END], "little"):
            raise InputError("the checkpoint is damaged", file=file, fix=FIX)
        seal = json.loads(comment) if comment else {}
        if not isinstance(seal, dict) or seal.get("layout") != LAYOUT:
            version = seal.get("version") if isinstance(seal, dict) else None
            origin = f"version {version} of cryorbit" if version else "another program, or an older version of cryorbit"
            raise InputError(f"the checkpoint was written by {origin}", file=file, fix=FIX)
        if seal.get("job") != job:
            raise InputError("the checkpoint is that of another job", file=file, fix=FIX)
        said = {name: seal.get(name) for name in ("version", "layout", "job")}
        if seal.get("sha256") != _digest(stream, size - 2 - len(comment), said):
            raise InputError("the checkpoint is damaged", file=file, fix=FIX)


def _digest(stream: BinaryIO, length: int, said: Mapping[str, Any]) -> str:
    """SHA-256 of what a seal says, and of the first ``length`` bytes."""
    digest = hashlib.sha256(json.dumps(said).encode())
    stream.seek(0)
    while length > 0 and (part := stream.read(min(length, 2**20))):
        digest.update(part)
        length -= len(part)
    return digest.hexdigest()
