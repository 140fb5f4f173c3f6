"""Splitting a consensus into classes along its principal components of variation.

With poses fixed, image i is ``C_i A_i (V + sum_j z_ij U_j)`` plus noise, z standard normal: probabilistic principal
component analysis in three dimensions. Its EM iterations are a few slices and insertions an image and find the
leading components from any start, because the problem is (nearly) convex where a mixture of volumes is not. The
latent coordinates of the images are then clustered, and the clusters are the classes' first members.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Complex, Float, Int
from scipy.cluster.vq import kmeans2
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.fourier.interpolation import join_mates
from cryorbit.fourier.shells import shell_sums
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.band import Band
from cryorbit.inference.exact_sums import ExactSums, WeightedSlices, exact_sums
from cryorbit.inference.pose_grid import grid_slices
from cryorbit.inference.statistics import no_terms, volume_statistics
from cryorbit.volumes.model import Model, solve

T = TypeVar("T")
BATCH = 500
PRIOR_AMPLITUDE = 0.3
"""Standard deviation that a component's Fourier coefficients may have, as a part of the consensus' rms in the shell."""


@dataclass(frozen=True, slots=True)
class Components:
    """Q principal components and the images' coordinates along them.

    Attributes
    ----------
    volume
        Components, scaled so that coordinates have unit variance.
    coordinate
        Posterior mean of z of each image.
    """

    volume: Float[Tensor, "q m m m"]
    coordinate: Float[Tensor, "n q"]


@dataclass(frozen=True, slots=True)
class PosedImages:
    """Images in known poses under a consensus.

    Attributes
    ----------
    source, index
        The particles, in the order of their numbers.
    poses
        Their poses.
    consensus
        The model of one class that they share.
    band
        The working box, the half disc, the noise.
    """

    source: ParticleSource
    index: Int[Tensor, " n"]
    poses: Poses
    consensus: Model
    band: Band

    def run(self, work: Callable[[slice], T], into: ExactSums | None = None) -> list[T]:
        """What ``work``, which adds to ``into``, makes of each batch of the particles."""
        return self.source.shards.run(work, self.index, self.source.batch_size(BATCH), into)

    def residual(self, part: slice) -> tuple[Complex[Tensor, "b p"], Float[Tensor, "b p"], Float[Tensor, "b 3 3"]]:
        """Weighted images minus the consensus, their weights and rotations."""
        band = self.band
        observed = self.source.observe(self.index[part], band.disc, band.noise_variance)
        rotations = self.poses.rotations[part].float()
        slices = grid_slices(self.consensus, rotations[None], band.disc)
        centred = observed.data * shift_phases(self.poses.shifts[part], band.disc)
        return centred - observed.weight * slices, observed.weight, rotations


def principal_components(
    images: PosedImages,
    window: Float[Tensor, "m m m"],
    count: int,
    iterations: int,
    generator: torch.Generator,
) -> Components:
    """The ``count`` leading components of images in known poses, from random coordinates."""
    ridge = prior_precision(images)
    coordinate = torch.randn(len(images.index), count, generator=generator).to(ridge)
    second = coordinate**2
    for _ in range(iterations):
        volume = _orthogonal(_update_components(images, coordinate, second, ridge) * window)
        coordinate, second = _update_coordinates(images, volume)
        scale = second.mean(0).sqrt().clamp_min(1e-6)
        coordinate, second, volume = coordinate / scale, second / scale**2, volume * scale[:, None, None, None]
    return Components(volume, coordinate)


def cluster(coordinate: Float[Tensor, "n q"], classes: int, generator: torch.Generator) -> Int[Tensor, " n"]:
    """Class of each image by k-means on its coordinates (several starts, the tightest result)."""
    points = coordinate.double().cpu().numpy()
    best_spread, best = float("inf"), None
    for _ in range(10):
        seed = int(torch.randint(2**31, (1,), generator=generator))
        centres, label = kmeans2(points, classes, minit="++", rng=seed, missing="warn")
        spread = float(((points - centres[label]) ** 2).sum())
        if spread < best_spread:
            best_spread, best = spread, label
    return torch.as_tensor(best, dtype=torch.long, device=coordinate.device)


def _update_components(
    images: PosedImages, coordinate: Float[Tensor, "n q"], second: Float[Tensor, "n q"], ridge: Float[Tensor, "p p h"]
) -> Float[Tensor, "q m m m"]:
    """M-step: each component from the residuals weighted by its coordinate, the components taken one by one."""
    count = coordinate.shape[1]
    sums = exact_sums(images.band, len(images.index), 1, count, coordinate.device)

    def add(part: slice) -> None:
        residual, precision, rotations = images.residual(part)
        factors = zip(coordinate[part].mT[..., None], second[part].mT[..., None], strict=True)
        sums.add([WeightedSlices(0, j, residual * z, precision * zz, rotations) for j, (z, zz) in enumerate(factors)])

    images.run(add, sums)
    statistics = volume_statistics(sums, no_terms(images.band.noise_variance, count), images.source.shards)
    return solve(join_mates(statistics.data[0]), join_mates(statistics.weight[0]) + ridge, images.band.grid)


def _update_coordinates(
    images: PosedImages, volume: Float[Tensor, "q m m m"]
) -> tuple[Float[Tensor, "n q"], Float[Tensor, "n q"]]:
    """E-step: posterior mean and second moment of z, a small linear system an image."""
    model, count = images.band.grid.model(volume), len(volume)
    identity = torch.eye(count, device=volume.device)

    def moments(part: slice) -> tuple[Float[Tensor, "b q"], Float[Tensor, "b q"]]:
        residual, precision, rotations = images.residual(part)
        klass = torch.arange(count, device=rotations.device).repeat(len(rotations))
        slices = model.slices(klass, rotations.repeat_interleave(count, 0), images.band.disc.frequencies)
        slices = slices.unflatten(0, (-1, count))
        score = (slices.conj() * residual[:, None]).real.sum(-1)
        gram = ((slices * precision[:, None]) @ slices.mH).real
        covariance = torch.linalg.inv(gram + identity)
        mean = (covariance @ score[..., None])[..., 0]
        return mean, covariance.diagonal(dim1=1, dim2=2) + mean**2

    means, seconds = zip(*images.run(moments), strict=True)
    return torch.cat(means), torch.cat(seconds)


def _orthogonal(volume: Float[Tensor, "q m m m"]) -> Float[Tensor, "q m m m"]:
    """Components made orthogonal, lengths kept: otherwise all of them turn into the leading one."""
    q, r = torch.linalg.qr(volume.flatten(1).mT)
    return (q * r.diagonal()).mT.reshape(volume.shape)


def prior_precision(images: PosedImages) -> Float[Tensor, "p p h"]:
    """Prior precision of a component's coefficients on the Fourier grid, shell by shell."""
    grid, spectrum = images.band.grid, images.consensus.spectra[0]
    radius = grid.radius(spectrum).round().long()
    count = int(radius.max()) + 1
    power = (spectrum.abs() ** 2).flatten()
    sums = shell_sums(torch.stack([power, torch.ones_like(power)]), radius.flatten(), count)
    # shells that the consensus does not reach: components are kept out of them, at a finite precision
    variance = PRIOR_AMPLITUDE**2 * (sums[0] / sums[1]).clamp_min(1e-12)
    return (1 / variance)[radius]
