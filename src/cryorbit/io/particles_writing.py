"""Particle sets with what was found out about them, as RELION 3.1 STAR files and, where they came so, ``.cs`` files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.geometry.rotations import matrix_to_euler
from cryorbit.io.atomic import atomic_path
from cryorbit.io.cryosparc import realigned
from cryorbit.io.cryosparc_files import write_cs
from cryorbit.io.cryosparc_records import pose_fields
from cryorbit.io.image_paths import names_from, number_and_stack, relion_name
from cryorbit.io.particles import Particles
from cryorbit.io.relion import ANGLES, ORIGINS_A, ORIGINS_PX
from cryorbit.io.star_versions import GROUP, stale_columns
from cryorbit.io.star_writing import write_star

DECIMALS = 6
"""Decimals of angles (degrees), origins (A) and probabilities in STAR files, as in RELION's own."""


@dataclass(frozen=True, slots=True)
class Assignments:
    """What was estimated for N particles; None leaves the columns as they came.

    Attributes
    ----------
    poses
        Poses, shifts in pixels.
    class_number
        Class, from 1.
    half_set
        1 or 2.
    max_probability
        Largest posterior probability of a pose.
    log_likelihood
        Log-likelihood of the image, nats.
    significant
        Number of poses that carry nearly all of the posterior.
    """

    poses: Poses | None = None
    class_number: Int[Tensor, " n"] | None = None
    half_set: Int[Tensor, " n"] | None = None
    max_probability: Float[Tensor, " n"] | None = None
    log_likelihood: Float[Tensor, " n"] | None = None
    significant: Int[Tensor, " n"] | None = None


def write_particles(path: Path | str, particles: Particles, assignments: Assignments) -> None:
    """Write a STAR file of RELION 3.1, and beside it a ``.cs`` file of the same name when the particles came as such.

    Every input column is kept in its place; columns that were estimated hold the new values. Optics groups are made
    when the input had none. An image name stays as it came when it leads to the same file from the folder of ``path``
    or one of its three parents (RELION's project folder is one of them); else the path is written in full.
    """
    target = Path(path)
    tables = output_tables(particles, target)
    for label, values in _columns(particles, assignments).items():
        tables["particles"][label] = values
    write_star(target, tables)
    if particles.records is not None:
        records = realigned(particles.records, _fields(particles, assignments))
        with atomic_path(target.with_suffix(".cs")) as temporary:
            write_cs(temporary, records)


def output_tables(particles: Particles, target: Path) -> dict[str, pd.DataFrame]:
    """Tables ``optics`` and ``particles`` for a STAR file at ``target``, by the rules of `write_particles`."""
    table = particles.table.drop(columns=_stale(particles.table, particles.pixel_size))
    table["rlnImageName"] = _image_names(particles, target)
    if particles.optics is not None:
        optics = particles.optics.drop(columns=_stale(particles.optics, particles.pixel_size))
        # what the optics groups say holds
        table = table.drop(columns=[label for label in optics if label in table and label != GROUP])
        if "rlnImageSize" not in optics:
            optics["rlnImageSize"] = particles.box
    else:
        optics, table["rlnOpticsGroup"] = _optics_groups(particles)
    return {"optics": optics, "particles": table}


def _stale(table: pd.DataFrame, pixel_size: float) -> list[str]:
    return stale_columns(table, np.full(len(table), pixel_size))


def _image_names(particles: Particles, target: Path) -> list[str]:
    stack = particles.images
    came = [number_and_stack(name)[1] for name in particles.table["rlnImageName"].astype(str)]
    used = dict(zip(stack.file_index.tolist(), came, strict=True))
    chosen = names_from(target, list(used.values()), [stack.files[number] for number in used])
    names = dict(zip(used, chosen, strict=True))
    places = zip(stack.file_index.tolist(), stack.section.tolist(), strict=True)
    # a stack that is called .mrc RELION takes for a map, unless it is told
    return [relion_name(names[number], section) for number, section in places]


def _columns(particles: Particles, assignments: Assignments) -> dict[str, np.ndarray]:
    """The estimated columns by RELION's labels."""
    columns: dict[str, np.ndarray] = {}
    if assignments.poses is not None:
        angles = matrix_to_euler(assignments.poses.rotations.double()).cpu().numpy()
        shifts = assignments.poses.shifts.double().cpu().numpy()
        columns.update(zip(ANGLES, angles.T.round(DECIMALS), strict=True))
        columns.update(zip(ORIGINS_A, (shifts * particles.pixel_size).T.round(DECIMALS), strict=True))
        # origins in pixels, as RELION 3.0 has them, would otherwise contradict the new ones
        columns.update(
            (label, values)
            for label, values in zip(ORIGINS_PX, shifts.T.round(DECIMALS), strict=True)
            if label in particles.table
        )
    estimates = {
        "rlnClassNumber": assignments.class_number,
        "rlnRandomSubset": assignments.half_set,
        "rlnMaxValueProbDistribution": assignments.max_probability,
        "rlnLogLikeliContribution": assignments.log_likelihood,
        "rlnNrOfSignificantSamples": assignments.significant,
    }
    for label, values in estimates.items():
        if values is None:
            continue
        array = values.detach().cpu().numpy()
        columns[label] = array.astype(np.float64).round(DECIMALS) if values.is_floating_point() else array
    return columns


def _fields(particles: Particles, assignments: Assignments) -> dict[str, np.ndarray]:
    """The estimated fields by cryoSPARC's names; shifts in pixels of the images."""
    fields: dict[str, np.ndarray] = {}
    if assignments.poses is not None:
        fields |= pose_fields(assignments.poses, particles.pixel_size)
    if assignments.class_number is not None:
        fields["alignments3D/class"] = (assignments.class_number.cpu().numpy() - 1).astype(np.uint32)
    if assignments.half_set is not None:
        fields["alignments3D/split"] = (assignments.half_set.cpu().numpy() - 1).astype(np.uint32)
    if assignments.max_probability is not None:
        fields["alignments3D/class_posterior"] = assignments.max_probability.cpu().numpy().astype(np.float32)
    return fields


def _optics_groups(particles: Particles) -> tuple[pd.DataFrame, np.ndarray]:
    """Optics groups of the distinct settings of the microscope, and the group, from 1, of each particle."""
    ctf = particles.ctf
    settings = torch.stack([ctf.voltage, ctf.spherical_aberration, ctf.amplitude_contrast], dim=1)
    distinct, row = settings.unique(dim=0, return_inverse=True)
    numbers = np.arange(1, len(distinct) + 1)
    labels = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast") if particles.states_ctf else ()
    columns = {
        "rlnOpticsGroupName": [f"opticsGroup{number}" for number in numbers],
        "rlnOpticsGroup": numbers,
        **dict(zip(labels, distinct.numpy().T, strict=bool(labels))),
        "rlnImagePixelSize": particles.pixel_size,
        "rlnImageSize": particles.box,
        "rlnImageDimensionality": 2,
        **({"rlnCtfDataAreCtfPremultiplied": 1} if particles.premultiplied else {}),
    }
    return pd.DataFrame(columns), row.numpy() + 1
