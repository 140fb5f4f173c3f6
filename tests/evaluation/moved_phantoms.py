"""Phantoms moved by arithmetic on their blobs, so that no interpolation stands between a test and the truth."""

from dataclasses import replace

import torch

from cryorbit.simulate.phantoms import Blobs, random_blobs

MIRROR = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))


def sharp_blobs(box: int, generator: torch.Generator) -> Blobs:
    """Blobs narrow enough to have power at two thirds of Nyquist and beyond."""
    blobs = random_blobs(box, generator, 40)
    return replace(blobs, widths=torch.full_like(blobs.widths, 1.1))


def moved(blobs: Blobs, rotation: torch.Tensor, shift: torch.Tensor, mirrored: bool) -> Blobs:
    """The blobs mirrored in z if ``mirrored``, then rotated, then displaced by ``shift`` pixels."""
    start = blobs.centers @ MIRROR if mirrored else blobs.centers
    return replace(blobs, centers=start @ rotation.T + shift)
