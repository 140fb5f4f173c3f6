"""Data for Toader, Brubaker & Lederman (2025), simulated: images in known poses, as Fourier coefficients.

The paper's images (EMPIAR-10076) are replaced by a phantom. The density of a ribosome, shrunk to a particle of about
110 A in a box of 256 A, is seen in uniformly random poses under the contrast transfer of an ordinary session, in white
noise. So the largest weights are near the first peak of the transfer function and the least at the rim, in about the
ratio of the paper's. Slices are interpolated on a twice padded grid; the unknown has an unpadded one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib.resources import as_file, files

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.core.seeds import generator_for
from cryorbit.fourier.half_disc import HalfDisc, count_within, half_disc
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.observations import Observations, observe
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.slices import SliceOperator
from cryorbit.imaging.transfer import Transfer
from cryorbit.io.mrc import read_map
from cryorbit.simulate.microscope import Microscope, draw_ctf
from cryorbit.simulate.particles import draw_poses
from cryorbit.studies.toader2023.posed_misfit import PosedMisfit
from cryorbit.volumes.fourier_ball import fourier_ball
from cryorbit.volumes.voxel import resample, working_grid

FIELD_A = 256.0
SNR = 0.1
SHIFT_SIGMA = 1.0


@dataclass(frozen=True, slots=True)
class DataSet:
    """Images, their poses, and the truth.

    Attributes
    ----------
    observations
        The images, at the coefficients of ``disc``.
    poses, disc
        Their poses and coefficients.
    density
        What they show.
    """

    observations: Observations
    poses: Poses
    disc: HalfDisc
    density: Float[Tensor, "n n n"]

    def problem(self, images: int, radius: float) -> PosedMisfit:
        """The misfit of the first images within a radius."""
        count = count_within(self.disc, radius)
        disc = HalfDisc(self.disc.box, radius, self.disc.frequencies[:count], self.disc.shells[:count])
        observations = self.observations[:images].within(count)
        poses = Poses(self.poses.rotations[:images], self.poses.shifts[:images])
        return PosedMisfit.of(observations, poses, disc, fourier_ball(disc.box, radius))


def without_ctf(problem: PosedMisfit) -> PosedMisfit:
    """The same slices, every coefficient of which is seen with the same weight; only the Hessian has a meaning."""
    observations = problem.observations
    return replace(problem, observations=replace(observations, weight=torch.full_like(observations.weight, 2.0)))


def simulate(box: int, images: int, radius: float, seed: int) -> DataSet:
    """Draw the images; the variance of their noise is one in every coefficient."""
    generator = generator_for(seed, "toader2023 images", box)
    poses = draw_poses(images, SHIFT_SIGMA, generator)
    params, _ = draw_ctf(images, Microscope(), generator)
    disc = half_disc(box, radius)
    ctf = ctf_values(params, disc.frequencies / FIELD_A)
    density = phantom(box)
    grid = working_grid(box, radius)
    slices = ctf * SliceOperator(grid, disc, poses.rotations.float()).project(resample(density, grid.size))
    # a coefficient stands for itself and its mate; the ratio is one of powers in the whole image
    gain = float(torch.sqrt(SNR * box**2 / (2 * slices.abs().square().sum(1).mean())))
    noise = torch.view_as_complex(torch.randn(*slices.shape, 2, generator=generator)) * math.sqrt(0.5)
    transforms = gain * slices * shift_phases(poses.shifts, disc).conj() + noise
    return DataSet(observe(transforms, Transfer(ctf), torch.ones(len(disc))), poses, disc, gain * density)


def phantom(box: int) -> Float[Tensor, "n n n"]:
    """The packaged density in the middle half of the box."""
    with as_file(files("cryorbit") / "data" / "ribosome_70S.mrc") as path:
        density, _ = read_map(path)
    return torch.nn.functional.pad(resample(density, box // 2), (box // 4,) * 6)
