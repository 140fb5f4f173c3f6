"""A job as a notebook holds it: what its folder says, read when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch

from cryorbit.api.fsc import FSC
from cryorbit.api.particle_set import ParticleSet, read_particles
from cryorbit.api.volume import Volume
from cryorbit.core.errors import InputError
from cryorbit.core.verdict import Verdict
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Result, as_record
from cryorbit.report.results import ClassResult, read_results

Noun = TypeVar("Noun")


@dataclass(frozen=True, slots=True)
class Job:
    """A job folder; see ``docs/outputs.md`` for its files.

    Attributes
    ----------
    folder
        Where it is.
    """

    folder: Path

    @property
    def record(self) -> dict[str, Any]:
        """Content of ``job.json``: verb, settings, inputs, machine, timings, result."""
        return JobFolder.open(self.folder).read()

    @property
    def status(self) -> str:
        """``finished``, ``stopped``, ``failed``, ``running`` (also of a job that was killed) or ``created``."""
        return str(self.record["status"])

    @property
    def result(self) -> dict[str, Any]:
        """The result in ``job.json``, as it stands there; empty before the end."""
        return self.record.get("result") or {}

    @property
    def verdict(self) -> Verdict | None:
        """Whether the result can be trusted, if the job judges that."""
        return JobFolder.open(self.folder).read_result(Result).verdict

    @property
    def maps(self) -> tuple[Volume, ...]:
        """The maps, one a class."""
        return tuple(
            Volume(torch.from_numpy(each.volume), each.pixel_size)
            for each in self._classes()
            if each.volume is not None and each.pixel_size is not None
        )

    @property
    def map(self) -> Volume:
        """The first map; ``InputError`` if there is none."""
        return self._first(self.maps, "map")

    @property
    def fscs(self) -> tuple[FSC, ...]:
        """Correlations of half-maps, one a class."""
        return tuple(FSC(each.fsc) for each in self._classes() if each.fsc is not None)

    @property
    def fsc(self) -> FSC:
        """Correlation of the half-maps of the first map; ``InputError`` if there is none."""
        return self._first(self.fscs, "FSC")

    @property
    def particles(self) -> ParticleSet:
        """Particles with the poses and classes that were found; ``InputError`` if the job leaves none."""
        return read_particles(self.folder / "particles.star")

    @property
    def report(self) -> Path:
        """The page to read or mail."""
        return self.folder / "report.html"

    def __repr__(self) -> str:
        """Verb, state and folder, one line."""
        return f"Job({self.record['verb']}, {self.status}, {self.folder})"

    def _repr_html_(self) -> str:
        """Verdict, classes and the first map, for a notebook."""
        verdict, maps = self.verdict, self.maps
        parts = [f"<p>{escape(repr(self))}</p>", "" if verdict is None else verdict._repr_html_()]
        entries = [as_record(each.entry) for each in self._classes()]
        if entries:
            parts.append(pd.DataFrame(entries, index=range(1, len(entries) + 1)).to_html())
        if maps:
            parts.append(maps[0]._repr_html_())
        return "".join(parts)

    def _classes(self) -> tuple[ClassResult, ...]:
        return tuple(read_results(self.folder).classes)

    def _first(self, things: tuple[Noun, ...], noun: str) -> Noun:
        if not things:
            fix = "resume it first" if self.status != "finished" else "use a job that makes one"
            raise InputError(f"this job has no {noun}", file=self.folder, fix=fix)
        return things[0]


def open_job(folder: Path | str) -> Job:
    """A job that was begun here or on the command line; ``InputError`` if the folder holds none."""
    return Job(JobFolder.open(Path(folder)).path)
