"""What to do after a job, which depends on its verdict: for the terminal and for the page."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryorbit.io.job_result import Result

_SHARPENED_NEXT = {"refine", "reconstruct", "classify"}
_REFINED_NEXT = {"abinit", "demo", "moments"}
STARTS = 3
"""Starts of an ab initio reconstruction that make a verdict possible."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and what it is for in a word or two."""

    purpose: str
    command: str


def next_steps(record: Mapping[str, Any], result: Result, folder: Path) -> list[Step]:
    """Commands that suit a job now; a map that is not to be trusted is neither refined nor sharpened.

    Parameters
    ----------
    record
        What ``job.json`` of ``folder`` holds.
    result
        Its result.
    """
    if record.get("status") in ("stopped", "failed", "killed"):
        return [Step("continue", shlex.join(["cryorbit", "resume", str(folder)]))]
    level = result.verdict.level if result.verdict else "good"
    steps = [Step("view", shlex.join(["chimerax", str(folder / "view.cxc")]))] if (folder / "view.cxc").exists() else []
    steps += _checks(record, level)
    return steps if level == "bad" else [*steps, *_processing(record, result, folder)]


def _checks(record: Mapping[str, Any], level: str) -> Iterator[Step]:
    """Commands that find out why a verdict is not good."""
    config = record.get("config", {})
    particles = config.get("particles")
    if level == "good" or particles is None:
        return
    verb = record.get("verb")
    if verb == "moments" or (verb == "abinit" and config.get("seeds", STARTS) < STARTS):
        words = ["cryorbit", "abinit", particles, "-o", "verified", "--seeds", str(STARTS)]
        yield Step("verify", shlex.join(map(str, words)))
    if verb == "run" and config.get("start") == "moments":
        yield Step("instead", shlex.join(map(str, ["cryorbit", "run", particles, "-o", "from_ab_initio"])))
    if level == "bad":
        yield Step("check", shlex.join(["cryorbit", "inspect", str(particles), "-o", "inspected"]))


def _processing(record: Mapping[str, Any], result: Result, folder: Path) -> Iterator[Step]:
    """Commands that make more of the map."""
    verb, classes = record.get("verb"), result.classes
    if verb in _SHARPENED_NEXT and classes:
        chosen = ["--class-number", "1"] if len(classes) > 1 else []
        yield Step("sharpen", shlex.join(["cryorbit", "postprocess", str(folder), *chosen]))
    if verb in _REFINED_NEXT and classes and (folder / "particles.star").exists():
        # a symmetry that the images refused is not offered again
        config = {**record.get("config", {}), **({"symmetry": result.symmetry} if result.symmetry else {})}
        yield from _refinements(config, folder / "particles.star", folder / classes[0].map)


def _refinements(config: Mapping[str, Any], particles: Path, start_map: Path) -> Iterator[Step]:
    """Commands that refine an initial map, here and in RELION."""
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
    yield Step("refine", shlex.join(ours))
    yield Step("or", shlex.join(relion))
