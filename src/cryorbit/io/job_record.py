"""The record of a job, ``job.json``: what it must hold for a job to be reported or resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cryorbit.core.errors import InputError
from cryorbit.io.job_result import FIX, Result, damage, read_result

RECORD = "job.json"
CHECKPOINT = "checkpoint"
"""Folder, in that of a job, of what it continues from."""
MAY_DIFFER = ("data_dir", "device", "threads", "memory", "scratch", "save_minutes")
"""Settings that a job can be resumed with others of: where images are, and how fast it goes."""
_SEALED = ("verb", "seed", "folder", "config", "inputs")


class _Part(BaseModel):
    """A part of the record: what is listed must fit, anything else may stand beside it."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Input(_Part):
    path: str = Field(min_length=1)
    bytes: int = Field(ge=0)
    sha256: str | None = None


class _Timings(_Part):
    seconds: float = Field(0.0, ge=0, le=1e10)
    started: str | None = None
    ended: str | None = None


class _Record(_Part):
    verb: str = Field(min_length=1)
    status: Literal["created", "running", "reporting", "finished", "stopped", "failed"]
    version: str = ""
    id: str = ""
    seal: str = ""
    folder: str | None = None
    command: str = ""
    config: dict[str, Any] = {}
    inputs: list[_Input] = []
    hardware: dict[str, Any] = {}
    timings: _Timings = _Timings()
    killed: int = Field(0, ge=0, le=10**9)
    error: str | None = None
    result: dict[str, Any] | None = None


def seal(record: Mapping[str, Any]) -> str:
    """SHA-256 of what makes a job the job that it is: its verb, settings and inputs, but for what may differ."""
    said = {name: record.get(name) for name in _SEALED}
    said["config"] = {name: value for name, value in record["config"].items() if name not in MAY_DIFFER}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_record(folder: Path) -> dict[str, Any]:
    """The content of ``job.json`` in a job folder, with what it lacks of the parts that every record has.

    Raises
    ------
    InputError
        It is missing, no JSON, or a part of it is not of the kind that it must be; the part is named.
    """
    file = folder / RECORD
    if file.exists() and not file.is_file():
        raise InputError("is not a file", file=file, fix=FIX)
    try:
        content = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        fix = "give the folder that was named with -o"
        raise InputError("this folder holds no job (no job.json)", file=folder, fix=fix) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file, fix="check the permissions") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot be read: {error}", file=file, fix=FIX) from error
    try:
        known = _Record.model_validate(content)
    except ValidationError as error:
        raise damage(error, file) from error
    read_result(content, Result, file)
    parts = ("version", "id", "seal", "command", "config", "inputs", "hardware", "killed")
    return {**{name: getattr(known, name) for name in parts}, "timings": {}, **content}
