"""What progress says of a stage and of a step, in whatever form it is shown."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

_SHOWN = {
    "resolution_A": "{:.1f} Å",
    "log_likelihood": "logL {:.2f}",
    "ess": "ESS {:.1f}",
}


def describe_fields(fields: Mapping[str, float], leave_out: Container[str] = ()) -> str:
    """Render the numbers of a step that are worth showing, with their units."""
    shown = [name for name in _SHOWN if fields.get(name) is not None and name not in leave_out]
    return "  ".join(_SHOWN[name].format(fields[name]) for name in shown)


def describe_stage(total: int | None, description: str) -> str:
    """Name a stage, and its steps where there are several."""
    return description if total in (None, 1) else f"{description}: {total:,} steps"


def describe_part(done: int, total: int) -> str:
    """Part of a step that is done, in per cent."""
    return f"{100 * done // max(1, total)} %"


def write_stage_report(folder: Path) -> None:
    """Write the report of a finished job, unless it was written since the job ended."""
    from cryorbit.report.page import write_report

    page = folder / "report.html"
    if not page.exists() or page.stat().st_mtime_ns < (folder / "job.json").stat().st_mtime_ns:
        write_report(folder)
