"""Particles with known truth: poses, classes, and images free of noise.

A clean image is the projection of its class's map in its pose, moved off the centre by its shift, convolved with its
point spread function on a field of twice the box, and cropped: signal that the CTF carries out of the box is lost, as
in nature. The signal-to-noise ratio of a set is the mean over its particles of the variance of the clean image over the
whole box, divided by the variance of a noise pixel, which is 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.data import CTFParams, Poses
from cryorbit.geometry.rotations import random_rotations
from cryorbit.imaging.ctf import ctf_values
from cryorbit.simulate.projection import PreparedMap, project

FIELD = 2
"""Side of the field on which the CTF acts, in boxes."""
JUNK = -1
"""Class of images that hold no particle."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of N simulated particles.

    Attributes
    ----------
    poses
        Shifts in pixels.
    ctf
        Contrast transfer parameters.
    classes
        Index of the map of each particle, or ``JUNK``.
    micrographs
        Number from 0.
    """

    poses: Poses
    ctf: CTFParams
    classes: Int[Tensor, " n"]
    micrographs: Int[Tensor, " n"]

    def __getitem__(self, index: Tensor) -> Truth:
        """The particles at ``index``."""
        return Truth(self.poses[index], self.ctf[index], self.classes[index], self.micrographs[index])

    def __len__(self) -> int:
        """Number of particles."""
        return len(self.classes)


def draw_poses(count: int, shift_sigma: float, generator: torch.Generator) -> Poses:
    """Rotations uniform on SO(3) and normal shifts of ``shift_sigma`` pixels along each axis, float64."""
    rotations = random_rotations(count, generator)
    return Poses(rotations, draw_shifts(count, shift_sigma, generator))


def draw_shifts(count: int, shift_sigma: float, generator: torch.Generator) -> Float[Tensor, "n 2"]:
    """Normal shifts of ``shift_sigma`` pixels along each axis, float64."""
    return shift_sigma * torch.randn(count, 2, generator=generator, dtype=torch.float64)


def draw_classes(count: int, fractions: Sequence[float], junk: float, generator: torch.Generator) -> Int[Tensor, " n"]:
    """Classes in random order: a part ``junk`` of all is ``JUNK``, the rest is divided as ``fractions``.

    Numbers of particles are rounded, not drawn, so that small sets have the shares asked for.
    """
    shares = torch.tensor([junk, *((1 - junk) * f / sum(fractions) for f in fractions)], dtype=torch.float64)
    ends = (shares.cumsum(0) * count).round().long()
    ordered = torch.searchsorted(ends, torch.arange(count), right=True) - 1
    return ordered[torch.randperm(count, generator=generator)]


def clean_images(maps: Sequence[PreparedMap], truth: Truth, pixel_size: float) -> Float[Tensor, "n b b"]:
    """Images of the particles without noise, white on 0, float32 on the maps' device; those of junk are 0."""
    box = maps[0].box
    images = maps[0].grid.real.new_zeros(len(truth), box, box)
    for index, prepared in enumerate(maps):
        rows = torch.nonzero(truth.classes == index)[:, 0]
        if len(rows):
            members = truth[rows]
            projections = project(prepared, members.poses.rotations)
            images[rows] = _transfer(projections, members.ctf, members.poses.shifts, pixel_size)
    return images


def _transfer(
    projections: Float[Tensor, "n b b"], ctf: CTFParams, shifts: Float[Tensor, "n 2"], pixel_size: float
) -> Float[Tensor, "n b b"]:
    """Move the particles to the centre minus ``shifts`` and apply their CTFs on the field."""
    box, device = projections.shape[-1], projections.device
    field = FIELD * box
    margin = (field - box) // 2
    fy = torch.fft.fftfreq(field, device=device, dtype=torch.float64)
    fx = torch.fft.rfftfreq(field, device=device, dtype=torch.float64)
    frequencies = torch.stack(torch.broadcast_tensors(fx, fy[:, None]), -1).flatten(0, 1)
    angle = (2 * math.pi * shifts.to(frequencies) @ frequencies.mT).float()
    transfer = ctf_values(ctf.to(device), frequencies / pixel_size)
    spectrum = torch.fft.rfft2(torch.nn.functional.pad(projections, (margin,) * 4))
    moved = spectrum * (transfer * torch.polar(torch.ones_like(angle), angle)).unflatten(-1, spectrum.shape[1:])
    inner = slice(margin, margin + box)
    return torch.fft.irfft2(moved, s=(field, field))[:, inner, inner]
