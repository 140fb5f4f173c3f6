"""The folder of a job: its record, metrics, log, checkpoint, and the rule that no file in it is half written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from cryorbit import __version__
from cryorbit.core.errors import InputError
from cryorbit.io.atomic import atomic_path
from cryorbit.io.provenance import command_line, describe_input, describe_machine


@dataclass(frozen=True, slots=True)
class JobFolder:
    """A job on disk: ``job.json``, ``metrics.jsonl``, ``log.txt``, ``checkpoint/`` and the results.

    Made by ``create`` or ``open``, never directly.

    Attributes
    ----------
    path
        The folder.
    """

    path: Path

    @classmethod
    def create(cls, path: Path, *, verb: str, config: Mapping[str, Any], inputs: Sequence[Path] = ()) -> JobFolder:
        """Make a job folder and write down what the job is.

        Parameters
        ----------
        path
            Folder to make; it may exist as long as it holds no job, or one that failed before its first checkpoint
            (so that the same command can be given again once its input is mended).
        verb
            The command, as ``cryorbit resume`` must call it again.
        config
            The resolved settings; ``seed`` and ``device`` are repeated in the record's head.
        inputs
            Files the job reads; sizes are written down, and hashes of metadata files.

        Raises
        ------
        InputError
            If the folder holds a job, cannot be made, or an input is missing.
        """
        job = cls(Path(path))
        if (job.path / "job.json").exists():
            if job.read()["status"] != "failed" or job.load_checkpoint() is not None:
                mend = f"choose another folder with -o, or go on with `cryorbit resume {job.path}`"
                raise InputError("this folder already holds a job", file=job.path, mend=mend)
            job.truncate_metrics(0)
        missing = next((file for file in inputs if not file.is_file()), None)
        if missing is not None:
            raise InputError("no such file", file=missing, mend="check the path")
        _make_folder(job.path / "checkpoint")
        job._write(
            {
                "verb": verb,
                "version": __version__,
                "status": "created",
                "command": command_line(),
                "seed": config.get("seed"),
                "config": config,
                "hardware": describe_machine(str(config.get("device", "cpu"))),
                "inputs": [describe_input(file) for file in inputs],
                "timings": {},
            }
        )
        return job

    @classmethod
    def open(cls, path: Path) -> JobFolder:
        """Open the job that ``path`` holds; ``InputError`` if there is none."""
        job = cls(Path(path))
        job.read()
        return job

    def read(self) -> dict[str, Any]:
        """Return the contents of ``job.json``; ``InputError`` if it is missing or damaged."""
        file = self.path / "job.json"
        try:
            record = json.loads(file.read_text())
        except FileNotFoundError:
            mend = "give the folder that was named with -o"
            raise InputError("this folder holds no job (no job.json)", file=self.path, mend=mend) from None
        except (ValueError, OSError) as error:
            raise InputError(f"cannot be read: {error}", file=file, mend="start the job anew") from error
        if not isinstance(record, dict) or not {"verb", "status"} <= record.keys():
            raise InputError("is not a job record", file=file, mend="start the job anew")
        return record

    def record(self, **entries: Any) -> None:
        """Merge ``entries`` into ``job.json`` at once; mappings are merged key by key, the rest is replaced."""
        self._write(_merged(self.read(), entries))

    def write_metrics(self, entry: Mapping[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``; numbers that are not finite become null."""
        with (self.path / "metrics.jsonl").open("a") as stream:
            stream.write(json.dumps(_plain(entry), allow_nan=False) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return all metrics lines, oldest first; a last line that was cut off does not count."""
        file = self.path / "metrics.jsonl"
        text = file.read_text() if file.exists() else ""
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def metrics_count(self) -> int:
        """Return the number of whole lines in ``metrics.jsonl``."""
        return len(self.read_metrics())

    def truncate_metrics(self, count: int) -> None:
        """Keep the first ``count`` metrics lines: the later ones were written after the checkpoint."""
        kept = self.read_metrics()[:count]
        with self.atomic("metrics.jsonl") as file:
            file.write_text("".join(json.dumps(entry) + "\n" for entry in kept))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint by ``state`` (tensors, numbers, strings and containers of them)."""
        with self.atomic("checkpoint/state.pt") as file:
            torch.save(dict(state), file)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the last checkpoint, its tensors on the CPU; None if the job has saved none.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        file = self.path / "checkpoint" / "state.pt"
        if not file.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except (RuntimeError, UnpicklingError, EOFError, OSError, ValueError) as error:
            mend = "delete it and resume: the job then starts from its beginning"
            raise InputError("the checkpoint is damaged", file=file, mend=mend) from error
        return state

    def atomic(self, name: str) -> AbstractContextManager[Path]:
        """Path to write the job's file ``name`` to; it gets its name when the block ends without an error."""
        return atomic_path(self.path / name)

    def _write(self, record: Mapping[str, Any]) -> None:
        with self.atomic("job.json") as file:
            file.write_text(json.dumps(_plain(record), indent=2, allow_nan=False) + "\n")


def _make_folder(path: Path) -> None:
    """Make a folder and its parents, or tell the user why it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        mend = "choose another folder with -o"
        raise InputError(f"cannot make the folder: {error.strerror}", file=path.parent, mend=mend) from error


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``old`` overlaid with ``new``, mappings key by key."""
    result = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result


def _plain(value: Any) -> Any:
    """Return ``value`` as what JSON can hold: arrays as lists, paths as text, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
