"""What the pixels of images tell: contrast, normalisation, diameter, spectra, and a few of them to see."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.conventions import HERMITIAN_WEIGHT
from cryorbit.core.seeds import generator_for
from cryorbit.fourier.half_disc import half_disc, image_from_transform, image_transform
from cryorbit.fourier.shells import half_spectrum_weights, ring_indices
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.diameter import ASSUMED_DIAMETER, estimate_diameter
from cryorbit.inference.noise import background_spectrum, shell_means
from cryorbit.io.grey_values import GreyValues
from cryorbit.io.particles import Particles
from cryorbit.recipes.image_doubts import on_images
from cryorbit.recipes.inspect.image_findings import ImageFindings
from cryorbit.recipes.joined_sets import contrasts_contradicted, multiplication_of_parts_contradicted

BATCH = 250
LOW_PASS_A = 30.0
LOW_PASS_PX = 4.0
"""Low-pass of the pictures: the coarser of `LOW_PASS_A` and this many pixels."""


def look_at_images(
    particles: Particles, grey: GreyValues, pictures: int, seed: int, *, told_multiplied: bool
) -> ImageFindings:
    """Findings of images that are finite and not constant.

    Parameters
    ----------
    particles
        The particles to look at, all of them.
    grey
        What their grey values say.
    pictures
        How many to show.
    seed
        Of the choice of those.
    told_multiplied
        Whether the user says if the images were multiplied with their CTF: it is not asked of the images then.
    """
    source = ParticleSource.of(particles, grey.levels, torch.device("cpu"), inverted=grey.inverted)
    everything, extent = torch.arange(len(particles)), particles.box * particles.pixel_size
    estimate = estimate_diameter(source, everything)
    diameter = estimate.diameter
    power = mean_power(source, source.unpadded(everything))
    # the noise as it stands in the images, also where the CTF was multiplied into it
    bare = replace(source, premultiplied=False)
    radius = 0.5 * (diameter or ASSUMED_DIAMETER * extent) / particles.pixel_size
    noise = background_spectrum(bare, everything, radius)
    chosen = torch.randperm(len(particles), generator=generator_for(seed, "pictures"))[:pictures].sort().values
    shown, low_pass = source.read(chosen), min(max(LOW_PASS_A, LOW_PASS_PX * particles.pixel_size), extent / 2)
    return ImageFindings(
        rows=torch.from_numpy(particles.rows),
        contrast=grey.contrasts,
        dark=grey.inverted,
        contrast_sentence=grey.contrast,
        normalised=not grey.needs_normalisation,
        masked=grey.masked,
        normalisation_sentence=grey.normalisation,
        contradiction=_contradiction(particles, grey, source, told_multiplied=told_multiplied),
        doubts=on_images(particles, grey, bare, noise, diameter, radius),
        repairs={int(particles.rows[index]): repair for index, repair in grey.repairs.items()},
        diameter=diameter,
        diameter_evidence=estimate.evidence,
        power=power,
        noise=noise,
        snr=signal_to_noise(power, noise, particles.box),
        pictures=shown,
        smoothed=low_passed(shown, extent / low_pass),
        picture_rows=torch.from_numpy(particles.rows)[chosen],
        low_pass=low_pass,
    )


def _contradiction(
    particles: Particles, grey: GreyValues, source: ParticleSource, *, told_multiplied: bool
) -> tuple[str, str] | None:
    """What the images say against each other or the table, and how to fix it."""
    contradiction = contrasts_contradicted(particles, grey.contrasts)
    if contradiction is None and not told_multiplied:
        return multiplication_of_parts_contradicted(source, particles, torch.arange(len(particles)))
    return contradiction


def mean_power(source: ParticleSource, index: Int[Tensor, " m"]) -> Float[Tensor, " s"]:
    """Mean squared modulus of the unitary transforms of the images, in shells 0 ... box / 2."""
    disc = half_disc(source.box, source.box / 2).to(source.device)
    power = torch.zeros(len(disc), device=source.device)
    for part in source.batches(len(index), BATCH):
        power += (source.transform(index[part], disc).abs() ** 2).sum(0)
    return shell_means(power / len(index), disc, source.box)


def signal_to_noise(power: Float[Tensor, " s"], noise: Float[Tensor, " s"], box: int) -> float:
    """Variance of the signal over that of the noise, over all pixels; beyond the last shell there is only noise."""
    signal = HERMITIAN_WEIGHT * (power - noise)[half_disc(box, box / 2).shells].sum()
    rings = ring_indices(box).clamp(max=len(noise) - 1)
    return float(signal / (half_spectrum_weights(box) * noise[rings]).sum())


def low_passed(images: Float[Tensor, "b n n"], radius: float) -> Float[Tensor, "b n n"]:
    """Images without what lies beyond ``radius`` Fourier pixels, the edge a cosine over a quarter of it."""
    disc = half_disc(images.shape[-1], images.shape[-1] / 2)
    beyond = (disc.frequencies.norm(dim=-1) / radius - 0.875) / 0.25
    return image_from_transform(image_transform(images, disc) * torch.cos(0.5 * torch.pi * beyond.clamp(0, 1)), disc)
