"""The last words of a job: classes, verdict, files, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cryorbit.io.job_result import ClassRecord, Result, TruthRecord, read_result

_COLOURS = {"good": "green", "doubtful": "yellow", "bad": "red"}
_COLUMNS = (
    ("particles", attrgetter("particles"), "{:,}"),
    ("share", attrgetter("fraction"), "{:.0%}"),
    ("resolution", attrgetter("resolution_A"), "{:.1f} A"),
    ("within mask", attrgetter("resolution_masked_A"), "{:.1f} A"),
    ("map", attrgetter("map"), "{}"),
)
_SHARPENED_NEXT = {"refine", "reconstruct", "classify"}
_REFINED_NEXT = {"abinit", "demo", "moments"}


def print_summary(record: Mapping[str, Any], folder: Path, console: Console) -> None:
    """Print what a finished job found; ``record`` is the content of its ``job.json``."""
    result = read_result(record, Result)
    if result.classes:
        console.print(_class_table(result.classes))
    if result.verdict is not None:
        console.print(Text(result.verdict.sentence, style=f"bold {_COLOURS[result.verdict.level]}"))
        for reason in result.verdict.reasons:
            console.print(Text(f"  - {reason}"), soft_wrap=True)
    if result.truth is not None:
        console.print(_against_truth(result.truth), highlight=False, soft_wrap=True)
    console.print()
    for line in _next_steps(record, result, folder):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _class_table(classes: Sequence[ClassRecord]) -> Table:
    """Table with a row a class, without columns of which nothing is known."""
    columns = [column for column in _COLUMNS if any(column[1](entry) is not None for entry in classes)]
    table = Table("class", *(heading for heading, _, _ in columns), box=None, padding=(0, 2, 0, 0))
    for number, entry in enumerate(classes, start=1):
        table.add_row(str(number), *(_known(value_of(entry), form) for _, value_of, form in columns))
    return table


def _against_truth(truth: TruthRecord) -> str:
    """One sentence on how far a demonstration's map and poses are from the truth."""
    return (
        f"Against the truth: resolution {_known(truth.resolution_fsc05_A, '{:.1f}')} A (FSC 0.5), "
        f"correlation {_known(truth.correlation, '{:.3f}')}; "
        f"median pose error {_known(truth.angle_median_deg, '{:.1f}')} degrees, "
        f"{_known(truth.shift_median_A, '{:.1f}')} A."
    )


def _next_steps(record: Mapping[str, Any], result: Result, folder: Path) -> list[str]:
    """Commands a user may want to give now."""
    steps = [f"report    {folder / 'report.html'}"]
    if (folder / "view.cxc").exists():
        steps.append(f"look      chimerax {shlex.quote(str(folder / 'view.cxc'))}")
    verb, classes = record.get("verb"), result.classes
    if verb in _SHARPENED_NEXT and classes:
        chosen = " --class-number 1" if len(classes) > 1 else ""
        steps.append(f"sharpen   cryorbit postprocess {shlex.quote(str(folder))}{chosen}")
    if verb in _REFINED_NEXT and classes and (folder / "particles.star").exists():
        # a symmetry that the images refused is not offered again
        config = {**record.get("config", {}), **({"symmetry": result.symmetry} if result.symmetry else {})}
        steps += _refinements(config, folder / "particles.star", folder / classes[0].map)
    return steps


def _refinements(config: Mapping[str, Any], particles: Path, start_map: Path) -> list[str]:
    """Commands that refine a first map, here and in RELION."""
    ctf = config.get("ctf") is not False
    symmetry, diameter = str(config.get("symmetry") or "C1"), config.get("diameter")
    ours = ["cryorbit", "refine", str(particles), "--map", str(start_map), "-o", "refined"]
    ours += ["--symmetry", symmetry] if symmetry != "C1" else []
    ours += [] if ctf else ["--no-ctf"]
    relion = [
        *("relion_refine", "--auto_refine", "--split_random_halves", *(["--ctf"] if ctf else [])),
        *("--firstiter_cc", "--ini_high", "30"),
        *("--i", str(particles), "--ref", str(start_map), "--sym", symmetry, "--o", "Refine3D/run"),
    ]
    if diameter:
        ours += ["--diameter", f"{diameter:.0f}"]
        relion += ["--particle_diameter", f"{diameter:.0f}"]
    return [f"refine    {shlex.join(ours)}", f"or        {shlex.join(relion)}"]


def _known(value: Any, form: str) -> str:
    """Format a number, or a dash where there is none."""
    return "-" if value is None else form.format(value)
