"""What images say against a reconstruction from them: one list for inspection and jobs."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.io.grey_values import GreyValues
from cryorbit.io.particles import Particles
from cryorbit.recipes.image_warnings import on_box, on_defects, on_masks, on_noise, on_padding
from cryorbit.recipes.joined_sets import on_noise_of_parts


def on_images(
    particles: Particles,
    grey: GreyValues,
    source: ParticleSource,
    noise: Float[Tensor, " s"],
    diameter: float | None,
    radius: float,
) -> tuple[str, ...]:
    """Sentences on images that can be used all the same.

    Parameters
    ----------
    particles, grey, source
        The particles, what their grey values say, and their images.
    noise
        Variance of shells 0 ... box / 2 of their background.
    diameter
        Of the particle, A; None where it does not stand out of the noise.
    radius
        Pixels from the centre beyond which images hold background.
    """
    extent = source.box * source.pixel_size
    return (
        *on_masks(masked=grey.masked),
        *on_padding(source),
        *on_defects(grey.levels),
        # one sentence on noise is enough: parts are asked only where the set as one shows nothing
        *(on_noise(noise, extent) or on_noise_of_parts(source, particles, radius)),
        # what is measured of masked images is the diameter of the mask
        *(() if grey.masked else on_box(diameter or 0.0, extent)),
    )
