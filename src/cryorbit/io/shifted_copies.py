"""Particles that were picked twice, where no coordinates say so: the same pixels of a micrograph, a few pixels apart.

An image that is moved keeps the moduli of its Fourier transform, but for its border. Noise gives every image moduli of
its own, so that two images of one micrograph whose moduli correlate overlap; by how much one is moved, their
correlation tells. Images without noise are alike where particles are, and tell nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.fourier.shells import ring_indices, shell_sums
from cryorbit.io.filaments import segment_label
from cryorbit.io.grey_levels import GreyLevels
from cryorbit.io.image_stack import ImageStack
from cryorbit.io.micrograph_places import MICROGRAPH, micrograph_numbers, nearest, picks
from cryorbit.io.particles import Particles

LOW, HIGH = 0.3, 0.6
"""Parts of Nyquist between which images are compared: below, particles are alike, and above, half a pixel counts."""
MODULI = 1024
"""Coefficients of an image that are compared, at most: by chance, their moduli correlate by 0.03."""
OVERLAP = 0.6
"""Correlation of the moduli of two images of one particle, at least; a shift of a tenth of the box leaves 0.7."""
ONE_IMAGE = 0.5
"""Correlation of the images in the band, one moved onto the other, at least."""
NOISY = 0.1
"""Correlation of the moduli of any two images, at most, where there is noise: it is 0.01 then, and 0.2 without."""
LARGEST = 2000
"""Images of a micrograph, at most: a name that more have is none of a micrograph."""
BATCH = 200


def shifted_copies(
    particles: Particles, levels: GreyLevels, index: Int[Tensor, " m"], ignored: Bool[Tensor, " n"]
) -> Int[np.ndarray, "p 2"]:
    """Pairs ``(earlier, later)`` of rows whose images are of one micrograph, and no farther apart than one particle.

    There are none where coordinates tell, of segments of filaments, and without names of micrographs.

    Parameters
    ----------
    particles
        The set.
    levels
        Of the images at ``index``: what most of them have at one place makes none alike.
    index
        The rows whose images are looked at, in ascending order.
    ignored
        Mask of those that are not.
    """
    found, typical = [], []
    if MICROGRAPH in particles.table and picks(particles) is None and segment_label(particles.table) is None:
        reach = nearest(particles) / particles.pixel_size
        for places in _by_micrograph(particles, index.numpy(), torch.nonzero(~ignored[index])[:, 0].numpy()):
            rows = index.numpy()[places]
            alike = _likeness(particles.images.subset(rows), levels[torch.from_numpy(places)])
            typical.append(float(alike[tuple(torch.triu_indices(len(rows), len(rows), 1))].median()))
            for pair in torch.nonzero((alike > OVERLAP).triu(1)).numpy():
                images = levels[torch.from_numpy(places[pair])].apply(particles.images.read(rows[pair]))
                if _are_one(images, reach):
                    found.append(rows[pair])
    if not found or float(np.median(typical)) > NOISY:
        return np.empty((0, 2), np.int64)
    pairs = np.array(found)
    ordered: Int[np.ndarray, "p 2"] = pairs[np.argsort(pairs[:, 1], kind="stable")]
    return ordered


def _by_micrograph(
    particles: Particles, index: Int[np.ndarray, " m"], places: Int[np.ndarray, " u"]
) -> Iterator[Int[np.ndarray, " _k"]]:
    """Those of the places in ``index`` whose rows share a micrograph, one micrograph after the other."""
    micrograph = micrograph_numbers(particles)[index[places]]
    order = np.argsort(micrograph, kind="stable")
    order = order[micrograph[order] >= 0]
    for part in np.split(places[order], np.flatnonzero(np.diff(micrograph[order])) + 1):
        if 1 < len(part) <= LARGEST:
            yield part


def _likeness(images: ImageStack, levels: GreyLevels) -> Float[Tensor, "k k"]:
    """Correlation of the moduli of each two images in the band, each ring of one image of mean 1."""
    rings, band = _rings(images.box)
    step = -(-int(band.sum()) // MODULI)
    parts = []
    for part in chunks(len(images), BATCH):
        places = torch.arange(part.start, part.stop)
        moduli = torch.fft.rfft2(levels[places].apply(images.read(places))).abs()[:, band]
        means = shell_sums(moduli, rings[band], images.box) / torch.bincount(rings[band], minlength=images.box)
        of_one = (moduli / means[:, rings[band]].clamp_min(torch.finfo(moduli.dtype).tiny))[:, ::step]
        of_one = of_one - of_one.mean(1, keepdim=True)
        parts.append(torch.nn.functional.normalize(of_one, dim=1))
    directions = torch.cat(parts)
    return directions @ directions.mT


def _are_one(pair: Float[Tensor, "2 y x"], reach: float) -> bool:
    """Whether one image, moved by at most ``reach`` pixels, is the other."""
    box = pair.shape[-1]
    first, second = torch.fft.rfft2(pair) * _rings(box)[1]
    power = [torch.fft.irfft2(each.abs() ** 2, s=(box, box))[0, 0] for each in (first, second)]
    correlation = torch.fft.irfft2(first * second.conj(), s=(box, box)) / (power[0] * power[1]).sqrt()
    y, x = divmod(int(correlation.argmax()), box)
    shift = math.hypot(min(y, box - y), min(x, box - x))
    return shift <= reach and float(correlation[y, x]) > ONE_IMAGE


def _rings(box: int) -> tuple[Int[Tensor, "y h"], Bool[Tensor, "y h"]]:
    """Rings of the half spectrum, and mask of those of the band."""
    rings = ring_indices(box)
    return rings, (rings > LOW * box / 2) & (rings <= HIGH * box / 2)
