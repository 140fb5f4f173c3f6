"""RELION 3.1's auto-refine as its window "3D auto-refine" would start it, measured, and what it leaves.

Half-sets split at random, first iteration by correlation, 7.5 degrees, offsets to 5 px in steps of 2 px, one
oversampling, local searches from 1.8 degrees; one leader and two workers, as its half-sets need.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np

from measure import Cost, run_measured

RELION, MPI = "relion_refine_mpi", "mpirun"
CONVERGED = "run_class001.mrc"


@dataclass(frozen=True, slots=True)
class AutoRefine:
    """What is refined, and the settings that the window leaves to its user.

    Attributes
    ----------
    particles, start_map
        Image names are relative to the folder of the STAR file; images are float32, or RELION cannot read them.
    diameter
        Of the mask, A.
    symmetry
        Point group.
    initial_resolution
        To which the start map is low-passed, A.
    """

    particles: Path
    start_map: Path
    diameter: float
    symmetry: str = "C1"
    initial_resolution: float = 30.0

    def command(self, prefix: Path, threads: int) -> list[str | Path]:
        """The command that RELION's window makes."""
        return [
            *(MPI, "--allow-run-as-root", "--oversubscribe", "-n", "3", RELION),
            *("--i", self.particles, "--ref", self.start_map, "--o", prefix, "--sym", self.symmetry),
            *("--ini_high", str(self.initial_resolution), "--particle_diameter", str(self.diameter)),
            *("--auto_refine", "--split_random_halves", "--firstiter_cc", "--ctf", "--flatten_solvent", "--zero_mask"),
            *("--norm", "--scale", "--oversampling", "1", "--healpix_order", "2", "--auto_local_healpix_order", "4"),
            *("--offset_range", "5", "--offset_step", "2", "--low_resol_join_halves", "40", "--pool", "3"),
            *("--dont_combine_weights_via_disc", "--pad", "2", "--j", str(max(1, threads // 2))),
        ]


@dataclass(frozen=True, slots=True)
class RelionResult:
    """What RELION left.

    Attributes
    ----------
    cost
        Of all its processes.
    iterations
        That it ended.
    converged
        Whether it ended by itself.
    map, particles
        The map of all images, or that of the first half-set if it was ended early, and the poses.
    halves
        Half-maps: as they are, or those of the last iteration, each times the same factor a shell.
    resolution_A
        That it scored images to; the half-maps of an iteration hold nothing beyond.
    """

    cost: Cost
    iterations: int
    converged: bool
    map: Path
    particles: Path
    halves: tuple[Path, Path]
    resolution_A: float  # noqa: N815 (units belong to the name)


def is_there() -> bool:
    """Whether RELION is installed."""
    return shutil.which(RELION) is not None


def auto_refine(job: AutoRefine, scratch: Path, threads: int, minutes: float | None = None) -> RelionResult:
    """Run RELION, for so many minutes on the clock at most.

    Raises
    ------
    RuntimeError
        It did not end an iteration.
    """
    prefix = scratch / "relion" / "run"
    prefix.parent.mkdir()
    limit_s, log = None if minutes is None else 60 * minutes, scratch / "relion.log"
    cost = run_measured(job.command(prefix, threads), log, folder=job.particles.parent, limit_s=limit_s)
    iterations = len(list(prefix.parent.glob("run_it*_half2_class001.mrc"))) - 1
    if iterations < 1:
        raise RuntimeError(f"RELION did not end an iteration; see {log}")
    converged = prefix.with_name(CONVERGED).exists()
    last = f"run_it{iterations:03d}"
    whole, poses = (CONVERGED, "run_data.star") if converged else (f"{last}_half1_class001.mrc", f"{last}_data.star")
    halves = ("run_half{}_class001_unfil.mrc" if converged else last + "_half{}_class001.mrc").format
    first, second = (prefix.with_name(halves(half)) for half in (1, 2))
    resolution = current_resolution(prefix.with_name(f"{last}_half1_model.star"))
    map_and_poses = prefix.with_name(whole), prefix.with_name(poses)
    return RelionResult(cost, iterations, converged, *map_and_poses, (first, second), resolution)


def current_resolution(model: Path) -> float:
    """Of a model file of an iteration, A."""
    (line,) = (line for line in model.read_text().splitlines() if line.startswith("_rlnCurrentResolution"))
    return float(line.split()[1])


def in_float32(particles: Path, folder: Path) -> Path:
    """The STAR file beside float32 copies of its stacks, which must lie beside it: RELION 3.1 reads no float16."""
    folder.mkdir()
    for stack in sorted(particles.parent.glob("*.mrcs")):
        with mrcfile.open(stack) as file, mrcfile.new(folder / stack.name) as copy:
            copy.set_data(file.data.astype(np.float32))
            copy.set_image_stack()
            copy.voxel_size = file.voxel_size
    return Path(shutil.copy(particles, folder))
