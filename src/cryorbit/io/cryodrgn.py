"""Poses and CTF parameters in the two pickles that cryoDRGN takes beside a particle file, row by row.

Poses are a pair of arrays: rotation matrices [n, 3, 3], which are RELION's and so ours, and shifts [n, 2] as parts of
the box. CTF parameters are [n, 9]: box, pixel size (A), defocus u and v (A), its angle (degrees), voltage (kV), Cs
(mm), amplitude contrast, phase shift (degrees).
"""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.io.atomic import atomic_path
from cryorbit.io.particles import Particles
from cryorbit.io.posed import posed_particles


def write_cryodrgn(poses_file: Path, particles: Particles) -> Path:
    """Write poses to ``poses_file`` and CTF parameters beside it; images stay where they are.

    Returns
    -------
    Path
        File of the CTF parameters: ``poses_ctf.pkl`` for ``poses.pkl``.

    Raises
    ------
    InputError
        The particles have no poses, or some have none: rows cannot be left out of the pickles alone.
    """
    _, without_pose = posed_particles(particles)
    assert particles.poses is not None
    if without_pose is not None:
        raise InputError(
            f"{int((~particles.aligned).sum())} particles have no pose (rotation 0, or no number)",
            file=particles.source,
            row=int(particles.rows[int((~particles.aligned).int().argmax())]),
            fix="give a file without them: `cryorbit reconstruct` writes one, particles.star",
        )
    rotations, shifts = particles.poses.rotations, particles.poses.shifts / particles.box
    ctf_file = ctf_file_of(poses_file)
    _write(poses_file, (rotations.numpy(), shifts.numpy()))
    _write(ctf_file, _ctf_table(particles).float().numpy())
    return ctf_file


def ctf_file_of(poses_file: Path) -> Path:
    """Name of the file of CTF parameters beside ``poses_file``."""
    return poses_file.with_name(f"{poses_file.stem}_ctf.pkl")


def _ctf_table(particles: Particles) -> Float[Tensor, "n 9"]:
    ctf = particles.ctf
    same = torch.ones_like(ctf.voltage)
    columns = [particles.box * same, particles.pixel_size * same, ctf.defocus_u, ctf.defocus_v]
    columns += [torch.rad2deg(ctf.defocus_angle), ctf.voltage, ctf.spherical_aberration, ctf.amplitude_contrast]
    return torch.stack([*columns, torch.rad2deg(ctf.phase_shift)], 1)


def _write(file: Path, content: object) -> None:
    with atomic_path(file) as temporary:
        temporary.write_bytes(pickle.dumps(content, protocol=4))
