"""Moments of particle images: sums over a source, a batch at a time, so that memory does not grow with the number."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.moments.empirical import MomentSums

BATCH = 2048
"""Images of a batch at most: enough that products of matrices take most of the time."""


def image_sums(
    source: ParticleSource, disc: HalfDisc, noise_variance: Float[Tensor, " s"], begin: int = 0
) -> Iterator[tuple[int, MomentSums]]:
    """Sums over consecutive batches of particles from ``begin`` on, each with the number of particles done by then.

    Parameters
    ----------
    source
        The particles.
    disc
        Coefficients that moments are formed of; sums hold six arrays of up to (2 P)^2 numbers.
    noise_variance
        By shell, of the noise alone: what it holds of the particles is missing from the second moment.
    begin
        First particle, so that a pass that was interrupted goes on; batches end at the same particles then.
    """
    for part in source.batches(len(source), BATCH):
        if part.start >= begin:
            index = torch.arange(part.start, part.stop)
            yield part.stop, MomentSums.of_images(source.observe(index, disc, noise_variance))
