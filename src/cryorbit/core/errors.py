"""Errors that a user can act on."""

from __future__ import annotations

from pathlib import Path


class InputError(ValueError):
    """Something the user gave cannot be used; the message names the file, the row and how to fix it.

    Parameters
    ----------
    problem
        What is wrong, one sentence.
    file
        The file at fault.
    row
        One-based row of the particle table at fault.
    line
        Or line of the file, from 1.
    fix
        What the user can do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: Path | str | None = None,
        row: int | None = None,
        line: int | None = None,
        fix: str | None = None,
    ) -> None:
        self.problem = problem
        self.file = file
        self.row = row
        self.line = line
        self.fix = fix
        within = "" if row is None else f", row {row}"
        within += "" if line is None else f", line {line}"
        place = "" if file is None else f"{file}{within}: "
        super().__init__(f"{place}{problem}" + (f"\n  fix: {fix}" if fix else ""))
