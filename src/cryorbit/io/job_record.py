"""The record of a job, ``job.json``: what it must hold for a job to be reported or resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cryorbit.core.errors import InputError

RECORD = "job.json"
MEND = "the job cannot go on; start it again in another folder"


class _Part(BaseModel):
    """A part of the record: what is listed must fit, anything else may stand beside it."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Input(_Part):
    path: str = Field(min_length=1)
    bytes: int = Field(ge=0)
    sha256: str | None = None


class _Verdict(_Part):
    level: str
    sentence: str
    reasons: list[str]


class _Stage(_Part):
    title: str
    verb: str
    folder: str = Field(min_length=1)


class _Result(_Part):
    classes: list[dict[str, Any]] | None = None
    stages: list[_Stage] | None = None
    truth: dict[str, Any] | None = None
    verdict: _Verdict | None = None


class _Timings(_Part):
    seconds: float = Field(0.0, ge=0, le=1e10)


class _Record(_Part):
    verb: str = Field(min_length=1)
    status: Literal["created", "running", "reporting", "finished", "stopped", "failed"]
    version: str = ""
    id: str = ""
    folder: str | None = None
    command: str = ""
    config: dict[str, Any] = {}
    inputs: list[_Input] = []
    hardware: dict[str, Any] = {}
    timings: _Timings = _Timings()
    killed: int = Field(0, ge=0, le=10**9)
    result: _Result | None = None


def read_record(folder: Path) -> dict[str, Any]:
    """The content of ``job.json`` in a job folder, with what it lacks of the parts that every record has.

    Raises
    ------
    InputError
        It is missing, no JSON, or a part of it is not of the kind that it must be; the part is named.
    """
    file = folder / RECORD
    if file.exists() and not file.is_file():
        raise InputError("is no file", file=file, mend=MEND)
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        mend = "give the folder that was named with -o"
        raise InputError("this folder holds no job (no job.json)", file=folder, mend=mend) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file, mend="check the permissions") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot be read: {error}", file=file, mend=MEND) from error
    try:
        known = _Record.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = f"{place!r}: {first['msg'].lower()}" if place else "it holds no table of entries"
        raise InputError(f"is damaged, or no record of a job: {what}", file=file, mend=MEND) from error
    parts = ("version", "id", "command", "config", "inputs", "hardware", "killed")
    return {**{name: getattr(known, name) for name in parts}, "timings": {}, **content}
