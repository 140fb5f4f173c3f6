"""Before the first iteration: read, check, decide what the images are, and derive everything that stays fixed."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.geometry.point_groups import point_group
from cryorbit.imaging.masks import soft_ball
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.diameter import estimate_diameter
from cryorbit.inference.noise import background_spectrum
from cryorbit.io.checks import CheckReport, check_particles
from cryorbit.io.particles import Particles, read_particles
from cryorbit.recipes.abinit.config import AbinitConfig

LOGGER = logging.getLogger(__name__)
SAMPLE = 2000
"""Images looked at for the diameter and the noise."""
WINDOW_MARGIN = 1.1
FEWEST = 50
HELD_OUT_AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Prepared:
    """What all stages share.

    Attributes
    ----------
    particles
        The particles that are used.
    report
        What the checks said, with those set aside.
    source
        Their images.
    noise_variance
        Variance of shells 0 ... box / 2 from the background.
    diameter
        A.
    symmetry
        Operators of the point group.
    order
        Random order of the particles that train; the same for every seed, so that seeds differ by their start alone.
    held_out
        Particles that only judge.
    half_set
        0 or 1 for every particle.
    """

    particles: Particles
    report: CheckReport
    source: ParticleSource
    noise_variance: Float[Tensor, " s"]
    diameter: float
    symmetry: Float[Tensor, "g 3 3"]
    order: Int[Tensor, " t"]
    held_out: Int[Tensor, " v"]
    half_set: Int[Tensor, " n"]

    @property
    def box(self) -> int:
        """Side of the images, pixels."""
        return self.source.box

    @property
    def extent(self) -> float:
        """Side of the box, A."""
        return self.source.box * self.source.pixel_size

    @property
    def diameter_px(self) -> float:
        """Particle diameter, pixels."""
        return self.diameter / self.source.pixel_size

    def window(self, size: int) -> Float[Tensor, "m m m"]:
        """Soft ball around the particle on a working box of ``size`` voxels."""
        scale = size / self.box
        radius = min(0.5 * WINDOW_MARGIN * self.diameter_px, 0.5 * self.box - 4)
        return soft_ball(size, radius * scale, max(4 * scale, 2.0)).to(self.source.device)


def prepare(config: AbinitConfig) -> Prepared:
    """Read and check the particles; raises ``InputError`` for whatever would spoil the reconstruction."""
    symmetry = point_group(config.symmetry)
    everything = read_particles(config.particles, config.data_dir)
    report = check_particles(everything, config.max_bad_fraction)
    particles = everything.subset(report.keep)
    if len(particles) < FEWEST:
        raise InputError(
            f"only {len(particles)} usable particles", file=config.particles, mend=f"give at least {FEWEST}"
        )
    inverted = report.inverted if config.invert_contrast is None else config.invert_contrast
    source = ParticleSource(
        images=particles.images,
        ctf=particles.ctf,
        pixel_size=particles.pixel_size,
        premultiplied=particles.premultiplied,
        inverted=inverted,
        background_radius=0.45 * particles.box if report.needs_normalisation else None,
        device=torch.device(config.device),
    )
    sample = torch.linspace(0, len(particles) - 1, min(SAMPLE, len(particles))).round().long()
    diameter = _diameter(config, source, sample)
    noise = background_spectrum(source, sample, 0.5 * diameter / source.pixel_size)
    held_out, order = _held_out(config, len(particles))
    for sentence in (report.contrast, report.normalisation, f"Particle diameter: {diameter:.0f} A."):
        LOGGER.info(sentence)
    return Prepared(
        particles, report, source, noise, diameter, symmetry, order, held_out, _half_sets(particles, config.seed)
    )


def generator_for(*numbers: int) -> torch.Generator:
    """A generator determined by the numbers alone (seed, stage, iteration), so that no state has to be stored."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
    return torch.Generator().manual_seed(seed)


def _diameter(config: AbinitConfig, source: ParticleSource, sample: Int[Tensor, " m"]) -> float:
    extent = source.box * source.pixel_size
    if config.diameter is not None:
        if config.diameter > extent:
            raise InputError(
                f"the diameter, {config.diameter:g} A, exceeds the box, {extent:g} A", mend="give a smaller --diameter"
            )
        return config.diameter
    estimate = estimate_diameter(source, sample)
    if estimate is None:
        LOGGER.info("The particle does not stand out of the noise; a diameter of 0.7 boxes is assumed.")
        return 0.7 * extent
    return min(estimate, 0.95 * extent)


def _held_out(config: AbinitConfig, count: int) -> tuple[Int[Tensor, " v"], Int[Tensor, " t"]]:
    shuffled = torch.randperm(count, generator=generator_for(config.seed, 999))
    number = min(HELD_OUT_AT_MOST, math.floor(config.held_out * count))
    return shuffled[:number].sort().values, shuffled[number:]


def _half_sets(particles: Particles, seed: int) -> Int[Tensor, " n"]:
    """Half-sets of the input, or random halves that keep micrographs whole when there are enough of them."""
    if particles.half_sets is not None:
        return particles.half_sets.long() - 1
    generator = generator_for(seed, 998)
    group = particles.group
    if group is None or int(group.max()) < 9:
        return torch.randperm(len(particles), generator=generator) % 2
    return (torch.randperm(int(group.max()) + 1, generator=generator) % 2)[group]
