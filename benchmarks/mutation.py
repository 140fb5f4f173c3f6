"""Whether tests notice: mutants of the optimisers and of inference, each against the fast tests of its floor.

    python benchmarks/mutation.py --count 100 --output benchmarks/results/mutation.json

A mutant is the package with one operator, number, condition or statement changed (`mutants.py`), drawn by a seed from
all there are. Tests run on a copy of the package, those of the mutant's own module first; a mutant is killed by the
first that fails, or by its time. One that survives is a test that is missing, or a change that changes nothing. A
mutant that survives takes as long as all fast tests of its floor, a minute or two.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cyclopts
from rich.console import Console

from mutants import Mutant, find_mutants
from tables import WIDTH, Row, save, show

ROOT = Path(__file__).parents[1]
FLOORS = ("kernels", "optim", "inference")
FAST = "not slow and not gpu and not relion"
LONGEST_SHOWN = 40
Verdict = Literal["killed", "timed out", "survived"]


@dataclass(frozen=True, slots=True)
class Workshop:
    """A copy of a package that mutants are put into, and the tests that try them.

    Attributes
    ----------
    package
        The package itself, which is only read.
    copy
        Its copy, in a folder of its own.
    tests
        Tests, a folder for each of the package's.
    limit_s
        Seconds after which tests are ended.
    """

    package: Path
    copy: Path
    tests: Path
    limit_s: float

    @classmethod
    def beside(cls, package: Path, tests: Path, scratch: Path, limit_s: float) -> Workshop:
        """Copy ``package`` into ``scratch``."""
        copy = scratch / package.name
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        return cls(package, copy, tests, limit_s)

    def judge(self, mutant: Mutant) -> Verdict:
        """Run the tests against a mutant; the copy is as it was afterwards."""
        place = mutant.file.relative_to(self.package)
        original = (self.copy / place).read_bytes()
        try:
            self._put(place, mutant.source())
            return self.run(self.tests_of(place))
        finally:
            self._put(place, original)

    def tests_of(self, place: Path) -> list[Path]:
        """Test files of a module's floor: its own, then those that name it, then the others."""

        def rank(file: Path) -> tuple[bool, bool, str]:
            return file.stem != f"test_{place.stem}", place.stem not in file.read_text(), file.name

        return sorted((self.tests / place.parts[0]).glob("test_*.py"), key=rank)

    def run(self, files: Sequence[Path]) -> Verdict:
        """What the tests say; kernels are kept beside the copy, those of each of its states apart."""
        words = ("-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", FAST)
        settings = {"PYTHONPATH": str(self.copy.parent), "OMP_NUM_THREADS": "1"}
        settings["NUMBA_CACHE_DIR"] = str(self.copy.parent / "kernels")
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "pytest", *words, *map(str, files)],
                cwd=self.tests.parent,
                env=os.environ | settings,
                timeout=self.limit_s,
                capture_output=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "timed out"
        return "survived" if ended.returncode == 0 else "killed"

    def _put(self, place: Path, content: bytes) -> None:
        """Write a module of the copy; its byte code could pass for that of a file written in the same second."""
        (self.copy / place).write_bytes(content)
        for stale in (self.copy / place).parent.glob(f"__pycache__/{place.stem}.*"):
            stale.unlink()


def main(*, count: int = 100, seed: int = 0, limit_s: float = 900.0, output: Path | None = None) -> None:
    """Try so many mutants, each for so long at most.

    Raises
    ------
    RuntimeError
        The tests fail without any mutant.
    """
    package, console = ROOT / "src" / "cryorbit", Console(width=WIDTH)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        workshop = Workshop.beside(package, ROOT / "tests", Path(scratch), limit_s)
        for mutant in draw([package / floor for floor in FLOORS], count, seed):
            rows.append(tried(workshop, mutant))
            console.print(" ".join(str(value) for value in rows[-1].values()), markup=False, highlight=False)
        require_sound(workshop, rows)
    killed = sum(row["verdict"] != "survived" for row in rows)
    note = f"{killed} of {len(rows)} killed ({killed / max(1, len(rows)):.0%}), seed {seed}"
    show("Mutation", rows, [note])
    save(output, "mutation", {"count": len(rows), "seed": seed, "killed": killed, "rows": rows})


def require_sound(workshop: Workshop, rows: Sequence[Row]) -> None:
    """Raise ``RuntimeError`` if tests fail without any mutant; those that one has survived do not."""
    for floor in sorted({Path(row["file"]).parts[0] for row in rows}):
        passed = any(row["verdict"] == "survived" and Path(row["file"]).parts[0] == floor for row in rows)
        if not passed and workshop.run(sorted((workshop.tests / floor).glob("test_*.py"))) != "survived":
            raise RuntimeError(f"the fast tests of {floor} fail or take over {workshop.limit_s:g} s without any mutant")


def draw(folders: Sequence[Path], count: int, seed: int) -> list[Mutant]:
    """So many of all mutants of the files in ``folders``, or all if there are no more."""
    everything = [
        mutant for folder in folders for file in sorted(folder.rglob("*.py")) for mutant in find_mutants(file)
    ]
    return random.Random(seed).sample(everything, min(count, len(everything)))


def tried(workshop: Workshop, mutant: Mutant) -> Row:
    """A mutant and what became of it, as a row of the table."""
    began = time.monotonic()
    verdict = workshop.judge(mutant)
    return {
        "file": str(mutant.file.relative_to(workshop.package)),
        "line": mutant.line,
        "kind": mutant.kind,
        "before": shortened(mutant.before),
        "after": shortened(mutant.after),
        "verdict": verdict,
        "seconds": time.monotonic() - began,
    }


def shortened(text: str) -> str:
    """Source text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}..."


if __name__ == "__main__":
    cyclopts.run(main)
