"""What a study says of its result, as it stands in ``job.json``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StudyResult:
    """Names of the tables, figures and maps of a study in its job folder, in the order of the report."""

    files: tuple[str, ...] = ()
