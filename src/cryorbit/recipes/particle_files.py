"""The particle files of a job that found poses."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import Int
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.set_aside import write_set_aside
from cryorbit.recipes.dataset import Dataset


def write_particle_files(folder: Path, dataset: Dataset, estimates: PoseEstimates, klass: Int[Tensor, " n"]) -> None:
    """Write ``particles.star``, with what was estimated of each particle, and ``set_aside.star``.

    Parameters
    ----------
    folder
        Of the job.
    dataset
        The particles.
    estimates
        Their poses, on the images as they are read; files hold them on the images as they are stored.
    klass
        Class of each, from 0.
    """
    poses = Poses(estimates.rotation.double().cpu(), estimates.shift.double().cpu())
    assignments = Assignments(
        poses=dataset.source.poses_on_stored(poses),
        class_number=klass.cpu() + 1,
        half_set=dataset.half_set + 1,
        max_probability=estimates.max_probability.double().cpu(),
        log_likelihood=estimates.log_evidence.double().cpu(),
        significant=estimates.effective.round().long().clamp_min(1).cpu(),
    )
    write_particles(folder / "particles.star", dataset.particles, assignments)
    write_set_aside(folder / "set_aside.star", dataset.everything, dataset.report)
