"""What is done of an iteration that is not over, in files: a job that ends in the middle of a pass goes on there.

Every process has a folder of its own, named at random. Results of batches are added to it, sums are written anew, and
a manifest, replaced at once, says which of the files count: it lists the batches whose results and sums are there. When
the job goes on, its processes, however many, take over the folders of those before them.

An iteration is made of parts, which come one after the other, and a part of runs over images.
"""

from __future__ import annotations

import logging
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch

from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.records import pack, unpack
from cryorbit.core.tagged import tag, untag
from cryorbit.execution.group import Group, once
from cryorbit.execution.watch import AddedUp, Rows, Shelved, Sweep, left_of
from cryorbit.io.atomic import atomic_path
from cryorbit.io.checkpoint import read_checkpoint, write_checkpoint

LOGGER = logging.getLogger(__name__)
T = TypeVar("T")
MANIFEST = "manifest.pt"
LARGEST_SHARE = 0.05
"""Of the time, that is spent on keeping what is done."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a process has kept.

    Attributes
    ----------
    iteration
        Of which iteration.
    part
        Of which part of it.
    batches
        Run, first row and end of each batch of the part whose result is there.
    version
        Number of times that something was kept; each has a file of results.
    sums
        Number of the sums that batches of the part were added to, and a file of them; several belong together.
    parts
        Numbers of the parts that are over, and whose results and shelved sums are there.
    absorbed
        Folders of processes before this one that it has taken over: they count no more.
    """

    iteration: str
    part: int = 0
    batches: tuple[tuple[int, int, int], ...] = ()
    version: int = 0
    sums: tuple[tuple[int, str], ...] = ()
    parts: tuple[int, ...] = ()
    absorbed: tuple[str, ...] = ()


@dataclass(slots=True)
class _Before:
    """What earlier processes have left of an iteration, by part and run, by part, and by part and number of sums."""

    held: dict[tuple[int, int], dict[Rows, Any]] = field(default_factory=dict)
    done: dict[tuple[int, int], set[Rows]] = field(default_factory=dict)
    parts: dict[int, Path] = field(default_factory=dict)
    sums: dict[tuple[int, int], list[Path]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part that is over, and where on a shelf its sums are."""

    result: Any
    shelf: Shelved
    place: int


@dataclass(slots=True)
class _Present:
    """Where this process is in an iteration, and what it has not kept yet."""

    manifest: Manifest
    before: _Before
    runs: int = 0
    sums: list[AddedUp] = field(default_factory=list)
    results: list[tuple[int, Rows, Any]] = field(default_factory=list)
    parts: dict[int, _Part] = field(default_factory=dict)


class PassJournal:
    """Keeps what is done, tells how much it is, and ends a pass when that is asked for; see ``execution.watch.Watch``.

    Parameters
    ----------
    folder
        Folder that all processes of the job have in common.
    job
        Id of the job.
    group
        Its processes.
    progress
        Who is told, and who may ask for an end.
    device
        Where results are computed.
    every_s
        Seconds after which what is done is kept.
    clock
        Tells the time, seconds.
    """

    def __init__(
        self,
        folder: Path,
        job: str,
        group: Group,
        progress: Progress,
        device: torch.device,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._common, self._job, self._group = folder, job, group
        self._progress, self._device = progress, device
        self._every_s, self._clock, self._due = every_s, clock, 0.0
        self._name = uuid.uuid4().hex
        self._present: _Present | None = None
        self._looked, self._open = False, False
        self._done = self._total = 0

    def begin(self, iteration: str | None) -> None:
        """Begin an iteration; the first one of a job that goes on may have been begun before."""
        if self._present is not None:
            for name in (self._name, *self._present.manifest.absorbed):
                shutil.rmtree(self._common / name, ignore_errors=True)
        self._present, self._open = None, iteration is not None
        if iteration is not None:
            manifest, before = self._look(iteration)
            self._present = _Present(manifest, before)
            self._enter(self._present)
            self._due = self._clock() + self._every_s
        elif self._group.rank == 0:
            # other processes may still be at the end of the last iteration, whose files count no more
            shutil.rmtree(self._common, ignore_errors=True)

    def sweep(self, batches: Sequence[Rows], into: AddedUp | None) -> Sweep:
        """Begin a run; sums that are new to the journal are given what was kept of them."""
        known = Sweep()
        if self._open and self._present is not None:
            known = self._known(self._present, into)
        self._total = _count(batches)
        self._done = self._total - _count(left_of(batches, known.done))
        return known

    def _known(self, now: _Present, into: AddedUp | None) -> Sweep:
        part, run = now.manifest.part, now.runs
        now.runs += 1
        if into is not None and not any(into is each for each in now.sums):
            for file in now.before.sums.pop((part, len(now.sums)), []):
                with file.open("rb") as stream:
                    into.add_from(stream)
            now.sums.append(into)
        return Sweep(now.before.held.pop((part, run), {}), now.before.done.pop((part, run), set()))

    def finished(self, rows: Rows, result: Any) -> None:
        """Note a batch, and keep what is done where it is time to."""
        self._done += rows[1] - rows[0]
        self._progress.within(self._done, self._total)
        now = self._present
        if self._open and now is not None:
            now.results.append((now.runs - 1, rows, result))
            if self._clock() >= self._due:
                self._save(now)

    def stop_requested(self) -> bool:
        """Tell whether somebody asked for an end; an iteration of which no more is kept comes to its own first."""
        return (self._open or self._present is None) and self._progress.stop_requested()

    def stop(self) -> NoReturn:
        """Keep what is done, and raise ``Stopped``."""
        if self._open and self._present is not None:
            self._save(self._present)
        raise Stopped

    def part(self, work: Callable[[], T], shelf: Shelved) -> T:
        """Return what ``work`` returns, now or before this process began."""
        now = self._present
        if not self._open or now is None:
            return work()
        number = now.manifest.part
        kept = now.before.parts.pop(number, None)
        result = work() if kept is None else self._read_part(kept, number, shelf)
        if self._group.rank == 0:
            now.parts[number] = _Part(result, shelf, len(shelf) - 1)
        now.manifest = replace(now.manifest, part=number + 1, batches=())
        self._enter(now)
        return result

    def _enter(self, now: _Present) -> None:
        """Begin a part, with what earlier processes had done of it."""
        now.runs, now.sums = 0, []
        held = ((run, each) for (part, run), each in now.before.held.items() if part == now.manifest.part)
        now.results = [(run, rows, result) for run, each in held for rows, result in each.items()]

    def close(self) -> None:
        """Keep no more of this iteration, and let go of what was not written: sums are the largest arrays there are."""
        self._open = False
        if self._present is not None:
            self._present = _Present(self._present.manifest, _Before())

    def _read_part(self, folder: Path, number: int, shelf: Shelved) -> Any:
        kept = self._read(folder / f"part_{number}.pt")
        with (folder / f"part_{number}.sums").open("rb") as stream:
            shelf.put_from(stream)
        return kept

    def _save(self, now: _Present) -> None:
        """Write down what is done since the last time, and the sums."""
        began, folder, old = self._clock(), self._common / self._name, now.manifest
        folder.mkdir(parents=True, exist_ok=True)
        self._write(folder / f"results_{old.version}.pt", now.results)
        sums = self._write_sums(now, folder)
        for number, part in now.parts.items():
            with (folder / f"part_{number}.sums").open("wb") as stream:
                part.shelf.write(part.place, stream)
            self._write(folder / f"part_{number}.pt", part.result)
        now.manifest = replace(
            old,
            batches=(*old.batches, *((run, *rows) for run, rows, _ in now.results)),
            version=old.version + 1,
            sums=sums,
            parts=(*old.parts, *now.parts),
        )
        with atomic_path(folder / MANIFEST) as file:
            write_checkpoint(file, pack(now.manifest), self._job)
        for _, name in old.sums:
            (folder / name).unlink(missing_ok=True)
        now.results, now.parts = [], {}
        now_s = self._clock()
        self._due = now_s + max(self._every_s, (now_s - began) / LARGEST_SHARE)

    def _write_sums(self, now: _Present, folder: Path) -> tuple[tuple[int, str], ...]:
        """Write the sums of this part, those too that wait for their first run; returns number and file of each."""
        written: list[tuple[int, str]] = []
        for number, sums in enumerate(now.sums):
            written.append((number, f"sums_{now.manifest.version}_{len(written)}"))
            with (folder / written[-1][1]).open("wb") as stream:
                sums.write_to(stream)
        for (part, number), files in now.before.sums.items():
            for file in files if part == now.manifest.part else ():
                written.append((number, f"sums_{now.manifest.version}_{len(written)}"))
                shutil.copyfile(file, folder / written[-1][1])
        return tuple(written)

    def _look(self, iteration: str) -> tuple[Manifest, _Before]:
        """What earlier processes have left of an iteration; only the first one of a job that goes on can have any."""
        if self._looked:
            return Manifest(iteration), _Before()
        self._looked = True
        names = once(self._group, lambda: self._left(iteration))
        manifests = {name: self._manifest(self._common / name) for name in names}
        before, whole = _Before(), [name for name, manifest in manifests.items() if manifest.parts]
        for name, manifest in manifests.items():
            for run, *rows in manifest.batches:
                before.done.setdefault((manifest.part, run), set()).add((rows[0], rows[1]))
            before.parts |= dict.fromkeys(manifest.parts, self._common / name)
        # parts are in the folder of a first process, and stay with one
        others = [name for name in names if name not in whole][self._group.rank :: self._group.size]
        mine = (*(whole if self._group.rank == 0 else ()), *others)
        for name in mine:
            self._take_over(self._common / name, manifests[name], before)
        if mine:
            LOGGER.info("Continuing within %s with what %d processes had done.", iteration, len(mine))
        return Manifest(iteration, absorbed=mine), before

    def _take_over(self, folder: Path, manifest: Manifest, before: _Before) -> None:
        """Add the results and sums of a process to those that are held."""
        listed = set(manifest.batches)
        for version in range(manifest.version):
            for run, rows, result in self._read(folder / f"results_{version}.pt"):
                if (run, *rows) in listed:
                    before.held.setdefault((manifest.part, run), {})[rows] = result
        for number, file in manifest.sums:
            before.sums.setdefault((manifest.part, number), []).append(folder / file)

    def _left(self, iteration: str) -> list[str]:
        """Folders of this iteration that count; the others are removed."""
        folders = sorted(self._common.iterdir()) if self._common.is_dir() else []
        manifests = {folder.name: self._manifest(folder) for folder in folders}
        absorbed = {name for manifest in manifests.values() for name in manifest.absorbed}
        count = [n for n, each in manifests.items() if each.iteration == iteration and n not in absorbed]
        for name in manifests.keys() - set(count):
            shutil.rmtree(self._common / name, ignore_errors=True)
        return count

    def _manifest(self, folder: Path) -> Manifest:
        """The manifest of a process; that of no iteration if it had kept nothing yet."""
        if not (folder / MANIFEST).is_file():
            return Manifest("")
        return unpack(Manifest, self._guarded(folder / MANIFEST))

    def _write(self, file: Path, value: Any) -> None:
        write_checkpoint(file, {"kept": tag(value)}, self._job)

    def _read(self, file: Path) -> Any:
        return untag(self._guarded(file)["kept"], self._device)

    def _guarded(self, file: Path) -> dict[str, Any]:
        """Contents of a file; ``InputError`` if it is damaged: the pass can be begun anew."""
        try:
            return read_checkpoint(file, self._job)
        except InputError as error:
            fix = f"delete {self._common} and resume: the job then repeats the pass that it was in"
            raise InputError(error.problem, file=error.file, fix=fix) from error


def _count(batches: Sequence[Rows]) -> int:
    """Images of some batches."""
    return sum(end - start for start, end in batches)
