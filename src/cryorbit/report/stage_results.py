"""What the stages of a job have shown of themselves, read for the report of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryorbit.core.verdict import Verdict
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Result, StageRecord, read_result
from cryorbit.report.look import embed_picture

_PICTURES = {
    "abinit": ("surface_*", "cross_seed", "course"),
    "moments": ("surface_*", "spread", "view_directions"),
    "refine": ("fsc", "course"),
    "postprocess": ("local_resolution", "conical_fsc", "guinier"),
}
"""Figures of each kind of stage that the page of the whole repeats."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """One stage of a job.

    Attributes
    ----------
    title
        For people.
    page
        Its own report, from the folder of the whole.
    record
        Content of its ``job.json``.
    verdict
        What it says of its result, if anything.
    pictures
        Names of figures, and the figures as data URIs.
    """

    title: str
    page: str
    record: Mapping[str, Any]
    verdict: Verdict | None
    pictures: Mapping[str, str]


def read_stages(folder: Path, entries: Sequence[StageRecord]) -> list[StageResult]:
    """Read the stages listed in the result of ``job.json``, as far as they have begun."""
    begun = [entry for entry in entries if (folder / entry.folder / "job.json").exists()]
    return [_read_stage(folder, entry) for entry in begun]


def _read_stage(folder: Path, entry: StageRecord) -> StageResult:
    stage = folder / entry.folder
    record = JobFolder.open(stage).read()
    pictures = {file.stem: embed_picture(file) for file in _figures(stage, entry.verb)}
    verdict = read_result(record, Result).verdict
    return StageResult(entry.title, f"{entry.folder}/report.html", record, verdict, pictures)


def _figures(stage: Path, verb: str) -> Iterator[Path]:
    for pattern in _PICTURES.get(verb, ()):
        yield from sorted((stage / "figures").glob(f"{pattern}.png"))
