"""The folder of a job: its record, metrics, log, checkpoint, and the rule that no file in it is half written."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock
import torch

from cryorbit import __version__
from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress
from cryorbit.execution.group import SINGLE_PROCESS, Group
from cryorbit.io.atomic import atomic_path
from cryorbit.io.checkpoint import read_checkpoint, write_checkpoint
from cryorbit.io.destinations import LOG, make_folder, other_files, require_free_folder
from cryorbit.io.job_record import CHECKPOINT, RECORD, read_record, seal
from cryorbit.io.job_result import Kind, as_record, read_result
from cryorbit.io.metrics import METRICS, append_metrics, complete_lines, parse_metrics, plain, sound_lines
from cryorbit.io.pass_journal import PassJournal
from cryorbit.io.provenance import command_line, describe_input, describe_machine

PASS = "pass"
"""Folder, beside the checkpoint, of what is done of the iteration after it."""
PART = "part_"
"""Beginning of the names of folders, beside the checkpoint, of what single processes do alone."""
LEFT_BY_FAILURE = (RECORD, METRICS, LOG, "report.html", "view.cxc", "set_aside.star", CHECKPOINT, "figures")
"""What a job may have written before its first checkpoint: of one that failed by then, another may take its place."""


@dataclass(frozen=True, slots=True)
class JobFolder:
    """A job on disk: ``job.json``, ``metrics.jsonl``, ``log.txt``, ``checkpoint/`` and the results.

    Made by ``create`` or ``open``, never directly.

    Attributes
    ----------
    path
        The folder; of a process other than the first, one of its own that nobody reads.
    group
        The processes that work on the job.
    origin
        The job's folder, where ``path`` is a copy of it.
    finish_now
        Whether maps are to be made from what is done.
    """

    path: Path
    group: Group = SINGLE_PROCESS
    origin: Path | None = None
    finish_now: bool = False

    @classmethod
    def create(cls, path: Path, *, verb: str, config: Mapping[str, Any], inputs: Sequence[Path] = ()) -> JobFolder:
        """Make a job folder and write down what the job is.

        Parameters
        ----------
        path
            Folder to make. It may exist as long as nothing in it could be replaced by results, and it holds no job but
            one that failed before its first checkpoint (so that the same command can be given again once its input is
            mended).
        verb
            The command, as ``cryorbit resume`` must call it again.
        config
            The resolved settings; ``seed`` and ``device`` are repeated in the record's head.
        inputs
            Files the job reads; sizes are written down, and hashes of metadata files.

        Raises
        ------
        InputError
            If the folder holds a job or other files, cannot be made, or an input is missing.
        """
        job = cls(Path(path))
        missing = next((file for file in inputs if not file.is_file()), None)
        if missing is not None:
            raise InputError("no such file", file=missing, fix="check the path")
        job._require_free()
        make_folder(job.path / CHECKPOINT)
        # of two commands that name the folder at once, one makes the job
        with job.locked():
            begun_anew = job._require_free()
            record = plain(
                {
                    "verb": verb,
                    "version": __version__,
                    "id": uuid.uuid4().hex,
                    "status": "created",
                    "folder": str(job.path.absolute()),
                    "command": command_line(),
                    "seed": config.get("seed"),
                    "config": config,
                    "hardware": describe_machine(str(config.get("device", "cpu"))),
                    "inputs": [describe_input(file) for file in inputs],
                    "timings": {},
                }
            )
            job._write({**record, "seal": seal(record)})
            if begun_anew:
                job.truncate_metrics(0)
        return job

    def _require_free(self) -> bool:
        """Whether the folder holds a job that failed at once; ``InputError`` if it holds anything else."""
        if not (self.path / RECORD).exists():
            held = {entry.name for entry in self._checkpoint_file.parent.glob("*")}
            require_free_folder(self.path, (CHECKPOINT,) if held <= {"lock"} else ())
            return False
        # parts have checkpoints of their own, and would go on with what is now another job
        gone = self.read()["status"] == "failed" and not self.has_begun
        if not gone or other_files(self.path, LEFT_BY_FAILURE):
            fix = f"choose another folder with -o, or continue the job with `cryorbit resume {self.path}`"
            raise InputError("this folder already holds a job", file=self.path, fix=fix)
        return True

    @classmethod
    def open(cls, path: Path) -> JobFolder:
        """Open the job that ``path`` holds; ``InputError`` if there is none."""
        job = cls(Path(path))
        job.read()
        return job

    def read(self) -> dict[str, Any]:
        """Return the contents of ``job.json``; ``InputError`` if it is missing or damaged."""
        return read_record(self.path)

    def record(self, **entries: Any) -> None:
        """Merge ``entries`` into ``job.json`` at once; mappings are merged key by key, the rest is replaced."""
        self._write(_merged(self.read(), entries))

    def write_result(self, result: object) -> None:
        """Merge a result, `Result` or another dataclass, into that of ``job.json`` at once."""
        self.record(result=as_record(result))

    def read_result(self, kind: type[Kind]) -> Kind:
        """Return the result in ``job.json`` as the dataclass that it is; ``InputError`` if it is missing or damaged."""
        return read_result(self.read(), kind, self.path / RECORD)

    def write_metrics(self, entry: Mapping[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``; numbers that are not finite become null."""
        append_metrics(self.path / METRICS, entry)

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return all sound metrics lines, oldest first; a last line that was cut off does not count."""
        return parse_metrics(complete_lines(self.path / METRICS))

    def metrics_count(self) -> int:
        """Return the number of whole lines in ``metrics.jsonl``."""
        return len(complete_lines(self.path / METRICS))

    def truncate_metrics(self, count: int) -> None:
        """Keep the first ``count`` metrics lines: the later ones were written after the checkpoint."""
        kept = sound_lines(complete_lines(self.path / METRICS)[:count], self.path / METRICS)
        with self.atomic(METRICS) as file:
            file.write_bytes(b"".join(line + b"\n" for line in kept))

    @property
    def _checkpoint_file(self) -> Path:
        return self.path / CHECKPOINT / "state.pt"

    @property
    def has_begun(self) -> bool:
        """Whether it, or a job or part within it, has a checkpoint."""
        return any(self.path.rglob(self._checkpoint_file.name))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint by ``state`` (tensors, numbers, strings and containers of them)."""
        with atomic_path(self._checkpoint_file) as file:
            write_checkpoint(file, state, self.read()["id"])

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the last checkpoint, its tensors on the CPU; None if the job has saved none.

        Raises
        ------
        InputError
            If the file is damaged, or not the checkpoint of this job.
        """
        file = self._checkpoint_file
        return read_checkpoint(file, self.read()["id"]) if file.exists() else None

    def journal(self, progress: Progress, device: str, minutes: float) -> PassJournal:
        """What keeps what is done of an iteration, every so many minutes, in one folder for all processes."""
        folder = (self.origin or self.path) / CHECKPOINT / PASS
        # of a stage of a job each process has a record of its own
        job = self.group.broadcast(self.read()["id"])
        return PassJournal(folder, job, self.group, progress, torch.device(device), 60 * minutes)

    def part_of(self, number: int) -> JobFolder:
        """A folder, seen by all processes, for a part of the job that one of them does alone."""
        return JobFolder((self.origin or self.path) / CHECKPOINT / f"{PART}{number}", finish_now=self.finish_now)

    def begin_part(self) -> None:
        """Make the folder of a part, which has the record of the job, if it is not there yet."""
        make_folder(self.path / CHECKPOINT)
        if not (self.path / RECORD).exists():
            with self.atomic(RECORD) as file:
                shutil.copyfile(self.path.parent.parent / RECORD, file)

    def remove_parts(self) -> None:
        """Remove the folders of parts, once their results are in the job's checkpoint."""
        for folder in self.path.glob(f"checkpoint/{PART}*"):
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def shared(self, group: Group) -> Iterator[JobFolder]:
        """The job as each of its processes writes to it: the first to its folder, the others to copies of that.

        All of them do the same work but for their shares of the images, and so they write the same; the copies are
        removed at the end.
        """
        if group.rank == 0:
            job, copy = replace(self, group=group), None
        else:
            copy = self.path / CHECKPOINT / f"process_{group.rank}"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self.path, copy, ignore=shutil.ignore_patterns("process_*", "lock", PASS, f"{PART}*"))
            job = replace(self, path=copy, group=group, origin=self.path)
        # nobody changes the folder before all have their copies
        group.gather(None)
        try:
            yield job
        finally:
            if copy is not None:
                shutil.rmtree(copy, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the job: no other process can. ``InputError`` if another one does."""
        try:
            lock = filelock.FileLock(self.path / CHECKPOINT / "lock", timeout=0).acquire()
        except filelock.Timeout:
            fix = "wait for it, or stop it first"
            raise InputError("another process is working on this job", file=self.path, fix=fix) from None
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(
                "this is a file where the job has a folder",
                file=self.path / CHECKPOINT,
                fix="run the command again in a new folder",
            ) from error
        with lock:
            yield

    def atomic(self, name: str) -> AbstractContextManager[Path]:
        """Path to write the job's file ``name`` to; it gets its name when the block ends without an error."""
        return atomic_path(self.path / name)

    def _write(self, record: Mapping[str, Any]) -> None:
        with self.atomic(RECORD) as file:
            file.write_text(json.dumps(plain(record), indent=2, allow_nan=False) + "\n")


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``old`` overlaid with ``new``, mappings key by key."""
    result = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result
