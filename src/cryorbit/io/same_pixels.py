"""Images that are in a set twice under names of their own: copies of a stack, exported or joined more than once."""

from __future__ import annotations

import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.io.duplicates import image_numbers
from cryorbit.io.image_statistics import ImageStatistics
from cryorbit.io.particles import Particles

ORDER_STATISTICS = ["middle", "scale", "peak", "local_scale", "local_peak"]
"""What two copies of an image share to the last bit, as no sum enters."""
BATCH = 200


def same_pixels(particles: Particles, statistics: ImageStatistics, index: Int[Tensor, " m"]) -> Bool[Tensor, " n"]:
    """Mask of the particles that have the pixels of an earlier row in a file, or a section, of another name.

    Images with the same order statistics are read again and compared.

    Parameters
    ----------
    particles
        The set.
    statistics, index
        Of the images that were measured, and where these are in the set.
    """
    measured = pd.DataFrame({name: getattr(statistics, name).numpy() for name in ORDER_STATISTICS})
    measured["row"], measured["image"] = index.numpy(), image_numbers(particles)[index].numpy()
    measured = measured[(statistics.finite & (statistics.scale > 0)).numpy()]
    first = measured.groupby(ORDER_STATISTICS)[["row", "image"]].transform("first")
    alike = measured["image"] != first["image"]
    later, earlier = (torch.from_numpy(rows[alike].to_numpy(copy=True)) for rows in (measured["row"], first["row"]))
    again = torch.zeros(len(particles), dtype=torch.bool)
    for part in chunks(len(later), BATCH):
        equal = particles.images.read(later[part]) == particles.images.read(earlier[part])
        again[later[part]] = equal.flatten(1).all(1)
    return again
