"""A few particles beside what the map says that they should look like, and what is left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.core.errors import InputError
from cryorbit.core.seeds import generator_for
from cryorbit.fourier.half_disc import half_disc, image_from_transform
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.slices import SliceOperator
from cryorbit.io.grey_values import normalised_levels
from cryorbit.io.particles import Particles, read_particles
from cryorbit.volumes.voxel import resample, working_grid

SHOWN = 12
LARGEST_BOX = 384
"""Pixels above which the projections would take more memory than a figure is worth."""


@dataclass(frozen=True, slots=True)
class FittedImages:
    """M particles and their likenesses, white protein, centred by their poses, low-passed alike.

    Attributes
    ----------
    images
        The particles, backgrounds of mean 0 and standard deviation 1 before the low-pass.
    projections
        The map of each particle's class in its pose, under its CTF, scaled to fit its image best.
    residuals
        Their differences.
    correlation
        Of each image with its projection.
    class_number
        From 1.
    low_pass
        A.
    """

    images: Float[np.ndarray, "m n n"]
    projections: Float[np.ndarray, "m n n"]
    residuals: Float[np.ndarray, "m n n"]
    correlation: Float[np.ndarray, " m"]
    class_number: Int[np.ndarray, " m"]
    low_pass: float


def read_fitted(
    table: Path, maps: Sequence[Float[np.ndarray, "n n n"] | None], config: Mapping[str, object], low_pass: float
) -> FittedImages | None:
    """Draw some particles at random and project the maps in their poses.

    Parameters
    ----------
    table
        Particles with poses; without classes all are of the first.
    maps
        Of the classes, in the box of the images.
    config
        Settings of the job: where its images are.
    low_pass
        A.

    Returns
    -------
    FittedImages or None
        None if the images cannot be read any more, have no poses, or do not fit to the maps.
    """
    try:
        particles = read_particles(table, _folder_of_images(config))
        if config.get("ctf") is False:
            particles = particles.without_ctf()
        if particles.poses is None or any(each is None or len(each) != particles.box for each in maps):
            return None
        if particles.box > LARGEST_BOX:
            return None
        chosen = torch.randperm(len(particles), generator=generator_for(0, "fitted images"))[:SHOWN].sort().values
        volumes = [torch.as_tensor(each, dtype=torch.float32) for each in maps if each is not None]
        return _fit(particles.subset(chosen), particles.poses[chosen], volumes, low_pass)
    except InputError:
        return None


def _folder_of_images(config: Mapping[str, object]) -> Path | None:
    """Folder that image names are relative to: as the job was told, or that of its input."""
    data_dir = config.get("data_dir")
    if data_dir is None and config.get("particles"):
        return Path(str(config["particles"])).parent
    return None if data_dir is None else Path(str(data_dir))


def _fit(
    particles: Particles, poses: Poses, volumes: Sequence[Float[Tensor, "n n n"]], low_pass: float
) -> FittedImages | None:
    box, count = particles.box, len(particles)
    disc = half_disc(box, box * particles.pixel_size / low_pass)
    source = ParticleSource.of(particles, normalised_levels(particles.images), torch.device("cpu"), inverted=False)
    everything = torch.arange(count)
    images = source.transform(everything, disc) * shift_phases(source.poses_on_read(poses).shifts, disc)
    klass = _classes(particles, len(volumes))
    grid = working_grid(box, disc.radius)
    slices = torch.stack(
        [SliceOperator(grid, disc, poses.rotations.float()).project(resample(v, grid.size)) for v in volumes]
    )
    transfer = source.transfer(everything, disc)
    projections = transfer.apply(slices[klass, everything])
    if particles.premultiplied:
        projections = transfer.ctf * projections
    product = (images * projections.conj()).real.sum(1)
    if product.sum() < 0:
        # protein is dark in the files
        images, product = -images, -product
    power = projections.abs().square().sum(1)
    if not (power > 0).all():
        return None
    fitted = projections * (product / power)[:, None].clamp_min(0)
    correlation = product / (power * images.abs().square().sum(1)).sqrt()
    image, projection, residual = (
        image_from_transform(each, disc).numpy() for each in (images, fitted, images - fitted)
    )
    return FittedImages(image, projection, residual, correlation.numpy(), klass.numpy() + 1, low_pass)


def _classes(particles: Particles, count: int) -> Int[Tensor, " m"]:
    """Class of each particle, from 0."""
    if count == 1 or "rlnClassNumber" not in particles.table:
        return torch.zeros(len(particles), dtype=torch.long)
    return torch.tensor(particles.table["rlnClassNumber"].to_numpy(dtype=np.int64)) - 1
