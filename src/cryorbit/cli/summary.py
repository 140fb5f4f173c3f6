"""The last words of a job: classes, verdict, files, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_COLOURS = {"good": "green", "doubtful": "yellow", "bad": "red"}
_COLUMNS = (
    ("particles", "particles", "{:,}"),
    ("share", "fraction", "{:.0%}"),
    ("resolution", "resolution_A", "{:.1f} A"),
    ("within mask", "resolution_masked_A", "{:.1f} A"),
    ("map", "map", "{}"),
)
_SHARPENED_NEXT = {"refine", "reconstruct", "classify"}
_REFINED_NEXT = {"abinit", "demo", "moments"}


def print_summary(record: Mapping[str, Any], folder: Path, console: Console) -> None:
    """Print what a finished job found; ``record`` is the content of its ``job.json``."""
    result = record.get("result") or {}
    classes = result.get("classes") or []
    if classes:
        console.print(_class_table(classes))
    verdict = result.get("verdict")
    if verdict:
        colour = _COLOURS.get(verdict["level"], "white")
        console.print(Text(verdict["sentence"], style=f"bold {colour}"))
        for reason in verdict.get("reasons", []):
            console.print(Text(f"  - {reason}"), soft_wrap=True)
    if result.get("truth"):
        console.print(_against_truth(result["truth"]), highlight=False, soft_wrap=True)
    console.print()
    for line in _next_steps(record, classes, folder):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _class_table(classes: Sequence[Mapping[str, Any]]) -> Table:
    """Table with a row a class, without columns of which nothing is known."""
    columns = [column for column in _COLUMNS if any(entry.get(column[1]) is not None for entry in classes)]
    table = Table("class", *(heading for heading, _, _ in columns), box=None, padding=(0, 2, 0, 0))
    for number, entry in enumerate(classes, start=1):
        table.add_row(str(number), *(_known(entry.get(key), form) for _, key, form in columns))
    return table


def _against_truth(truth: Mapping[str, Any]) -> str:
    """One sentence on how far a demonstration's map and poses are from the truth."""
    return (
        f"Against the truth: resolution {truth['resolution_fsc05_A']:.1f} A (FSC 0.5), "
        f"correlation {truth['correlation']:.3f}; median pose error {truth['angle_median_deg']:.1f} degrees, "
        f"{truth['shift_median_A']:.1f} A."
    )


def _next_steps(record: Mapping[str, Any], classes: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """Commands a user may want to give now."""
    steps = [f"report    {folder / 'report.html'}"]
    if (folder / "view.cxc").exists():
        steps.append(f"look      chimerax {shlex.quote(str(folder / 'view.cxc'))}")
    verb = record.get("verb")
    if verb in _SHARPENED_NEXT and classes:
        chosen = " --class-number 1" if len(classes) > 1 else ""
        steps.append(f"sharpen   cryorbit postprocess {shlex.quote(str(folder))}{chosen}")
    if verb in _REFINED_NEXT and classes and (folder / "particles.star").exists():
        # a symmetry that the images refused is not offered again
        imposed = (record.get("result") or {}).get("symmetry")
        config = {**record.get("config", {}), **({"symmetry": imposed} if imposed else {})}
        steps += _refinements(config, folder / "particles.star", folder / str(classes[0].get("map")))
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
