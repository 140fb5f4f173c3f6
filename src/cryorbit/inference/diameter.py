"""The particle's diameter, from where the images vary more than their background and from their mean.

Two measurements, for neither is right for all particles. The *variance* over images in rings exceeds that of the
corners as far as the particle reaches, whatever its shape; but the CTF carries signal beyond the edge, and neighbours
in the corners raise the reference. The *mean image*, the CTF divided out, shows the edge where it is and does not mind
noise; but of an irregular particle it shows a mean edge, and a part that sticks out is lost in it. So the mean image
decides where it says that the particle is a hollow ball, whose edge is everywhere the same, or that neighbours stand
around it, and the variance decides otherwise.

In neither do a few images decide: a ring that differs much from that of the other images, for a gold bead or the edge
of the carbon, is passed over, and so are padded images.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.fourier.half_disc import half_disc, image_from_transform
from cryorbit.fourier.shells import shell_sums
from cryorbit.imaging.particle_source import ParticleSource

ENCLOSED = 0.95
"""Fraction of the excess variance within the estimated radius."""
ASSUMED_DIAMETER = 0.7
"""Part of the box that a particle of unknown diameter is taken to fill."""
READ_BATCH = 250
UNLIKE = 4.0
"""Robust standard deviations from the median of the images beyond which a ring of an image is passed over."""
CERTAINTY = 5.0
PROFILE_RADIUS = 32
"""Fourier radius (pixels) of the mean image: an edge is known to a fraction of 1/64 of the box."""
DAMPING = 0.01
"""Part of the largest mean squared CTF that is added to all: frequencies hardly transferred stay bounded."""
FALLEN = 0.1
"""Part of its peak below which the mean image has left the particle."""
CROWDED = 0.15
"""Depth of the trough around the particle, as a part of its peak, from which on neighbours are behind it."""
HOLLOW = 0.75
"""Part of its peak that the mean image of a hollow particle has at most in the centre."""


@dataclass(frozen=True, slots=True)
class DiameterEstimate:
    """A diameter and what it rests on.

    Attributes
    ----------
    diameter
        A; None when the particle does not stand out of the noise.
    evidence
        How it was found, or why not: the end of a sentence.
    """

    diameter: float | None
    evidence: str


@dataclass(frozen=True, slots=True)
class MeanProfile:
    """The mean image in rings around the centre, the CTF divided out, above its corners.

    Attributes
    ----------
    values
        In units of its peak.
    significance
        The peak in standard errors of the mean over images.
    peak
        Ring of the peak.
    edge
        Ring, interpolated, midway between where the profile crosses its surroundings and its first minimum beyond.
    depth
        Depth of that minimum, in units of the peak.
    """

    values: Float[Tensor, " r"]
    significance: float
    peak: int
    edge: float
    depth: float

    @property
    def is_hollow(self) -> bool:
        """Whether the particle is brighter around its centre than in it."""
        return float(self.values[: max(1, self.peak // 3)].mean()) < HOLLOW

    @property
    def is_crowded(self) -> bool:
        """Whether neighbours stand around the particle: between it and them the density is below the field's mean."""
        return self.depth > CROWDED


def estimate_diameter(source: ParticleSource, index: Int[Tensor, " m"]) -> DiameterEstimate:
    """Diameter that holds nearly all signal; delocalisation and shifts blur the edge, which errs on the safe side."""
    index = source.unpadded(index)
    profile, size = mean_profile(source, index)
    radius = _varying_radius(source, index)
    if profile.significance > CERTAINTY and (radius is None or profile.is_crowded or profile.is_hollow):
        where = "from the edge of the mean image"
        why = ", as neighbours stand close" if profile.is_crowded else ", as it is hollow" if profile.is_hollow else ""
        return DiameterEstimate(2 * profile.edge * source.box * source.pixel_size / size, where + why)
    if radius is None:
        return DiameterEstimate(None, "the particle does not stand out of the noise")
    return DiameterEstimate(2 * radius * source.pixel_size, "from where the images vary more than their background")


def mean_profile(source: ParticleSource, index: Int[Tensor, " m"]) -> tuple[MeanProfile, int]:
    """Radial profile of the mean of ``c x / (mean of c^2)`` and the pixels along the box that it was taken on."""
    disc = half_disc(source.box, min(PROFILE_RADIUS, source.box // 2 - 1)).to(source.device)
    small = half_disc(min(source.box, 2 * int(disc.radius) + 2), disc.radius).to(source.device)
    power = torch.zeros(len(disc), device=source.device)
    for part in source.batches(len(index), READ_BATCH):
        power += source.transfer(index[part], disc).power.sum(0)
    power /= len(index)
    restored = 1 / (power + DAMPING * power.max())
    rings = []
    for part in source.batches(len(index), READ_BATCH):
        transform, transfer = source.transform(index[part], disc), source.transfer(index[part], disc)
        transform = transfer.turned_back(transform) if source.premultiplied else transfer.adjoint(transform)
        rings.append(ring_means(image_from_transform(transform * restored, small)).cpu().double())
    profiles = torch.cat(rings)
    profiles = profiles - profiles[:, small.box // 2 - 2 :].median(1, keepdim=True).values
    mean, error = mean_of_like(profiles)
    return described(mean, error, small.box), small.box


def described(mean: Float[Tensor, " r"], error: Float[Tensor, " r"], size: int) -> MeanProfile:
    """The peak, the edge and the trough of the mean of rings, of which those within a box of ``size`` are looked at."""
    inner = mean[: size // 2 - 1]
    peak = int(inner.argmax())
    values = inner / inner[peak].clamp_min(torch.finfo(inner.dtype).tiny)
    beyond = torch.arange(len(values)) > peak
    crossed = _first(beyond & (values <= 0))
    fallen = beyond & (values < FALLEN)
    trough = _first(fallen[:-1] & (values[1:] > values[:-1]))
    # a profile that does not fall to zero crosses it beyond its last ring: the trough stands for the crossing
    before = crossed - 1
    crossing = before + float(values[before] / (values[before] - values[crossed]).clamp_min(1e-9))
    crossing = min(crossing, float(trough))
    return MeanProfile(
        values, float(mean[peak] / error[peak]), peak, 0.5 * (crossing + trough), max(0.0, -float(values[trough]))
    )


def _first(holds: Tensor) -> int:
    """The first ring of which something holds, or the last ring."""
    places = torch.nonzero(holds)
    return int(places[0, 0]) if len(places) else len(holds) - 1


def _varying_radius(source: ParticleSource, index: Int[Tensor, " m"]) -> int | None:
    """Radius in pixels that holds nearly all variance in excess of the corners', or None where none stands out.

    Noise is alike everywhere in an image, so the variance over particles exceeds that of the corners where the
    particle is.
    """
    variance = _radial_variance(source, index)
    return enclosing_radius(variance, source.box, len(index))


def enclosing_radius(variance: Float[Tensor, " r"], box: int, images: int) -> int | None:
    """Radius in pixels that holds nearly all that a variance in rings has in excess of that in the corners.

    None where no excess stands out of the scatter that so many images leave, near the centre.
    """
    corner = variance[box // 2 - 2 :].median()
    excess = (variance - corner)[: box // 2 - 1]
    # the centre pixel is a ring, too: of half a pixel radius
    pixels = 2 * torch.pi * torch.arange(len(excess), dtype=torch.float64).clamp_min(0.5)
    scatter = corner * (2 / (pixels * images)).sqrt()
    # around the centre, where every particle has density: further out neighbours vary as well
    if not bool((excess > CERTAINTY * scatter)[: box // 8].any()):
        return None
    significant = torch.where(excess > 2 * scatter, excess, 0.0) * pixels
    enclosed = significant.cumsum(0) / significant.sum()
    return max(int((enclosed < ENCLOSED).sum()), 3)


def _radial_variance(source: ParticleSource, index: Int[Tensor, " m"]) -> Float[Tensor, " r"]:
    """Mean square of the pixels of all images in rings one pixel wide, out to the corners; replaced ones left out.

    A ring that has no others has the mean square of all.
    """
    parts = source.batches(len(index), READ_BATCH)
    kept = torch.ones(source.box, source.box) if source.spoilt is None else (~source.spoilt).float()
    squares = torch.cat([ring_means(source.read(index[part]).cpu().double() ** 2 * kept) for part in parts])
    share = ring_means(kept.double())
    variance = mean_of_like(squares)[0] / share
    return torch.where(share > 0, variance, variance[share > 0].median())


def mean_of_like(profiles: Float[Tensor, "m r"]) -> tuple[Float[Tensor, " r"], Float[Tensor, " r"]]:
    """Mean over images of each ring, and its standard error, without images whose ring is far from the others'."""
    distance = (profiles - profiles.median(0).values).abs()
    like = (distance <= UNLIKE * 1.4826 * distance.median(0).values).double()
    count = like.sum(0)
    mean = (like * profiles).sum(0) / count
    variance = (like * (profiles - mean) ** 2).sum(0) / (count - 1).clamp_min(1)
    return mean, (variance / count).sqrt()


def ring_means(images: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b r"]:
    """Means of the pixels in rings one pixel wide around the centre, out to the corners."""
    size = images.shape[-1]
    axis = torch.arange(size, device=images.device) - size // 2
    ring = torch.hypot(axis[:, None].double(), axis.double()).round().long().flatten()
    return shell_sums(images.flatten(-2), ring, int(ring.max()) + 1) / torch.bincount(ring)
