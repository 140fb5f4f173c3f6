"""The sound inputs that are damaged: a tiny particle set as STAR and .cs, a map, observations, and stopped jobs."""

from __future__ import annotations

from pathlib import Path

import torch

from cryorbit.cli.main import main
from cryorbit.core.progress import SilentProgress, Stopped
from cryorbit.io.mrc import write_map

BOX, PIXEL_SIZE, COUNT = 32, 5.0, 64
SHORT = """max_resolution = 22.0
diameter = 100.0
[search]
iterations = 3
batch_first = 20
batch_last = 20
angular_spacing = 40.0
[grow]
iterations = 1
cells = 2
"""
"""Settings with which `abinit` passes every stage in seconds; no map is to be expected."""


class StopAtOnce(SilentProgress):
    """Asks to stop after the first step."""

    def stop_requested(self) -> bool:
        """Always."""
        return True


def build(folder: Path) -> Path:
    """Make the sound inputs in a folder."""
    folder.mkdir(parents=True)
    write_map(folder / "map.mrc", _phantom(), PIXEL_SIZE)
    main(["simulate", f"{folder}/map.mrc", "-o", f"{folder}/set", "-n", str(COUNT), "--snr", "0.5", "-q"])
    for name in ("particles.mrcs", "truth.star"):
        (folder / "set" / name).rename(folder / name)
    (folder / "truth.star").rename(folder / "particles.star")
    main(["convert", f"{folder}/particles.star", f"{folder}/particles.cs"])
    (folder / "settings.toml").write_text(SHORT)
    main(["mra", "simulate", "-o", str(folder), "-n", "60", "--length", "8", "--window", "6"])
    for name in ("stopped", "other"):
        _stopped_job(folder, name)
    return folder


def _phantom() -> torch.Tensor:
    """A few blobs off the centre, without symmetry."""
    side = torch.arange(BOX) - BOX / 2
    z, y, x = torch.meshgrid(side, side, side, indexing="ij")
    places = [(0, 0, 0, 1.0), (4, 2, -3, 0.8), (-5, 3, 2, 0.6), (1, -6, 4, 0.7), (-2, -3, -5, 0.5)]
    blobs = [w * torch.exp(-((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) / 8) for a, b, c, w in places]
    return torch.stack(blobs).sum(0)


def _stopped_job(folder: Path, name: str) -> None:
    from cryorbit.api.jobs import plan_job

    given = {"observations": folder / "observations.npz", "output": folder / name, "passes": 5.0}
    planned = plan_job("mra solve", given)
    job = planned.make_folder()
    try:
        planned.recipe.run(planned.config, job, StopAtOnce())
    except Stopped:
        job.record(status="stopped")
