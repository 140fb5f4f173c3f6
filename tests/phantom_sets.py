"""Small particle sets of known truth, as inference sees them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mrcfile
import numpy as np
import torch

from cryorbit.core.data import CTFParams, Poses
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.band import Band, band_within
from cryorbit.io.image_stack import ImageStack
from cryorbit.simulate.microscope import Microscope, draw_ctf
from cryorbit.simulate.particles import Truth, clean_images, draw_classes, draw_poses
from cryorbit.simulate.phantoms import blob_volume, random_blobs
from cryorbit.simulate.projection import prepare_map
from cryorbit.volumes.voxel import resample, working_grid


@dataclass(frozen=True, slots=True)
class PhantomSet:
    """Images with noise of unit pixel variance, and what they are images of.

    Attributes
    ----------
    source
        The images.
    volumes
        True maps of the classes, at the scale of the images.
    poses, classes
        The truth of every particle, single precision.
    """

    source: ParticleSource
    volumes: torch.Tensor
    poses: Poses
    classes: torch.Tensor

    @property
    def everything(self) -> torch.Tensor:
        """Indices of all particles."""
        return torch.arange(len(self.source))

    def band(self, radius: float) -> Band:
        """The band of this Fourier radius, under the true noise."""
        box = self.source.box
        return band_within(box, radius, torch.ones(box // 2 + 1))

    def working(self, radius: float) -> torch.Tensor:
        """The true maps on the working box of this Fourier radius."""
        return resample(self.volumes, working_grid(self.source.box, radius).size)


def sharp_phantom(generator: torch.Generator, count: int = 24) -> torch.Tensor:
    """An asymmetric map of 32 voxels with power up to two thirds of Nyquist."""
    blobs = random_blobs(32, generator, count)
    return blob_volume(replace(blobs, widths=torch.full_like(blobs.widths, 1.15)), 32)


def write_source(path: Path, images: torch.Tensor, ctf: CTFParams, pixel_size: float) -> ParticleSource:
    """A source of plain, white, normalised images in a stack of their own."""
    with mrcfile.new(path) as file:
        file.set_data(images.float().numpy())
        file.set_image_stack()
    count = len(images)
    stack = ImageStack((path,), np.zeros(count, np.int64), np.arange(count), None, images.shape[-1])
    return ParticleSource(stack, ctf, pixel_size, False, torch.device("cpu"))


def phantom_set(
    folder: Path,
    volumes: Sequence[torch.Tensor],
    count: int,
    snr: float,
    generator: torch.Generator,
    *,
    pixel_size: float = 4.0,
    shift_sigma: float = 1.0,
) -> PhantomSet:
    """Images of maps of equal shares in random poses; the signal-to-noise ratio is that of ``simulate.particles``."""
    poses = draw_poses(count, shift_sigma, generator)
    ctf, micrographs = draw_ctf(count, Microscope(particles_per_micrograph=20), generator)
    classes = draw_classes(count, (1.0,) * len(volumes), 0.0, generator)
    clean = clean_images([prepare_map(v) for v in volumes], Truth(poses, ctf, classes, micrographs), pixel_size)
    scale = (snr / clean.var((1, 2), correction=0).mean()).sqrt()
    images = scale * clean + torch.randn(clean.shape, generator=generator)
    source = write_source(folder / "particles.mrcs", images, ctf, pixel_size)
    return PhantomSet(
        source, scale * torch.stack(list(volumes)), Poses(poses.rotations.float(), poses.shifts.float()), classes
    )
