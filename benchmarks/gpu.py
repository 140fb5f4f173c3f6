"""What a graphics card does with the package: tests, an E-step beside bare matrix products, two jobs on a large set.

    python benchmarks/gpu.py --output benchmarks/results

Stages follow each other until ``minutes`` are over: a job is then ended, and what was not begun is named. The set is
simulated in a temporary folder. With ``--device cpu --count 500`` the script itself can be tried without a card.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cyclopts
import torch

from cryorbit.api.devices import launch_on
from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_grid import paired_grid
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.marginal import pose_posterior, slice_statistics
from cryorbit.inference.pose_grid import grid_slices
from cryorbit.io.mrc import read_map, write_map
from cryorbit.io.provenance import describe_machine
from cryorbit.kernels.fused.device import fused_device
from cryorbit.volumes.voxel import resample, working_grid
from measure import CRYORBIT
from simulated import RIBOSOME
from tables import save, show

ROOT = Path(__file__).parents[1]
NO_TESTS = 5
"""Exit status of pytest where every test was left out."""
RADIUS, ORDER, BATCH = 16.0, 2, 256
"""Of the E-step that is timed: Fourier radius, order of the grid of rotations, images."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a stage: ``done``, ``failed``, ``ended`` at the limit or ``skipped``; its seconds, and a note."""

    stage: str
    status: str
    seconds: float
    note: str


@dataclass(frozen=True, slots=True)
class Trial:
    """Where everything is done, on what, and until when."""

    folder: Path
    device: str
    count: int
    box: int
    until: float

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.until - time.monotonic()


def main(
    *, device: str = "cuda", count: int = 100_000, box: int = 128, minutes: float = 8.0, output: Path | None = None
) -> None:
    """Run all stages and print what failed; the exit status is 1 if anything did.

    Parameters
    ----------
    device
        Where jobs run.
    count, box
        Images of the simulated set, and their side.
    minutes
        Time for all of it.
    output
        Folder for ``gpu_<card>.json`` and ``.md``.
    """
    launch_on(device)
    machine = describe_machine(device)
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), device, count, box, time.monotonic() + 60 * minutes)
        outcomes = [_outcome(name, stage, trial) for name, stage in STAGES.items()]
    notes = [f"{machine['device_name']}, {_kernels(device)}", f"{count:,} images of {box} px; {minutes:g} minutes"]
    rows = [asdict(each) for each in outcomes]
    show("A card at work", rows, notes)
    if output is not None:
        name = f"gpu_{re.sub(r'[^A-Za-z0-9]+', '_', str(machine['device_name']))}"
        save(output / f"{name}.json", "gpu", {"device": device, "count": count, "box": box, "stages": rows})
        (output / f"{name}.md").write_text(_document(notes, outcomes))
    failed = [each.stage for each in outcomes if each.status == "failed"]
    sys.stdout.write(f"failed: {', '.join(failed)}\n" if failed else "nothing failed\n")
    sys.exit(bool(failed))


def _outcome(name: str, stage: Callable[[Trial], str], trial: Trial) -> Outcome:
    """A stage within the time that is left."""
    if trial.left <= 0:
        return Outcome(name, "skipped", 0.0, "the time was over")
    began = time.monotonic()
    try:
        status, note = "done", stage(trial)
    except subprocess.TimeoutExpired:
        status, note = "ended", "the time was over"
    except (RuntimeError, OSError, ValueError) as error:
        status, note = "failed", (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return Outcome(name, status, time.monotonic() - began, note)


def _tests(trial: Trial) -> str:
    """The tests that need a card."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-n", "0", "-q", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=trial.left, check=False)
    last = (done.stdout.strip().splitlines() or ["no output"])[-1]
    if done.returncode not in (0, NO_TESTS):
        failures = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        raise RuntimeError("; ".join([*failures[:3], last]))
    return last


def _e_step(trial: Trial) -> str:
    """Rate of an E-step on a grid of all poses, beside that of the products alone in one piece."""
    device = torch.device(trial.device)
    generator = torch.Generator().manual_seed(1)
    disc, grid = half_disc(trial.box, RADIUS).to(device), working_grid(trial.box, RADIUS)
    volume = torch.randn(1, *(grid.size,) * 3, generator=generator).to(device)
    slices = grid_slices(grid.model(volume), paired_grid(ORDER)[::2].float().to(device)[None], disc)
    phases = shift_phases(disc_grid(0.1 * trial.box, trial.box / RADIUS / 3).float().to(device), disc)
    data = torch.randn(BATCH, len(disc), dtype=torch.complex64, generator=generator).to(device)
    seen = Observations(1e-3 * data, 1e-6 * torch.ones_like(data.real), data.abs() ** 2)
    prior, views = torch.zeros(2 * len(slices), device=device), 2 * len(slices)
    left, right = (torch.randn(rows, len(disc), device=device) for rows in (BATCH * len(phases), len(slices)))

    def e_step() -> None:
        posterior = pose_posterior(seen, slices, phases, prior)
        slice_statistics(posterior, seen, phases, views)

    products = 4e-12 * len(left) * len(right) * len(disc)
    rate, bare = products / _seconds(e_step, device), 0.5 * products / _seconds(lambda: left @ right.mT, device)
    return f"{rate:.3g} TFLOP/s, bare products {bare:.3g} TFLOP/s: {rate / bare:.0%}"


def _simulation(trial: Trial) -> str:
    """Images of the ribosome that comes with the package, on a box of the size asked for."""
    volume, pixel_size = read_map(RIBOSOME)
    old, ribosome = volume.shape[0], trial.folder / "ribosome.mrc"
    write_map(ribosome, resample(volume, trial.box), pixel_size * old / trial.box)
    sizes = ("-n", str(trial.count), "--snr", "0.1", "--seed", "1")
    return _job(trial, "simulate", ribosome, *sizes, name="set")


def _abinit(trial: Trial) -> str:
    return _job(trial, "abinit", trial.folder / "set" / "particles.star", name="abinit")


def _refine(trial: Trial) -> str:
    first = trial.folder / "abinit" / "class_1.mrc"
    start = first if first.exists() else trial.folder / "set" / "truth_1.mrc"
    note = _job(trial, "refine", trial.folder / "set" / "particles.star", "--map", start, name="refine")
    return note if start == first else f"from the true map: {note}"


STAGES: dict[str, Callable[[Trial], str]] = {
    "tests": _tests,
    "E-step": _e_step,
    "simulate": _simulation,
    "abinit": _abinit,
    "refine": _refine,
}


def _job(trial: Trial, verb: str, *words: str | Path, name: str) -> str:
    """Run a verb into a folder; the last line that it says."""
    folder = trial.folder / name
    command = [*CRYORBIT, verb, *map(str, words), "-o", str(folder), "--device", trial.device]
    done = subprocess.run(command, capture_output=True, text=True, timeout=trial.left, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr or done.stdout or f"ended with {done.returncode}")
    return _result(folder)


def _result(folder: Path) -> str:
    """What a job says of its result, in a line."""
    record = json.loads((folder / "job.json").read_text())
    verdict = (record.get("result") or {}).get("verdict") or {}
    return str(verdict.get("sentence", record["status"]))


def _seconds(action: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """Of an action after one that compiles, the device waited for."""
    wait = (lambda: None) if device.type == "cpu" else torch.get_device_module(device).synchronize
    action()
    wait()
    began = time.perf_counter()
    for _ in range(repeats):
        action()
    wait()
    return (time.perf_counter() - began) / repeats


def _kernels(device: str) -> str:
    is_fused = fused_device() == torch.device(device).type
    return "kernels in Triton" if is_fused else "compiled kernels" if device == "cpu" else "kernels in plain torch"


def _document(notes: list[str], outcomes: list[Outcome]) -> str:
    rows = [f"| {each.stage} | {each.status} | {each.seconds:.0f} | {each.note} |" for each in outcomes]
    table = "\n".join(["| stage | status | s | |", "| --- | --- | --- | --- |", *rows])
    return f"# {notes[0]}\n\n`make gpu`: {notes[1]}.\n\n{table}\n"


if __name__ == "__main__":
    cyclopts.run(main)
