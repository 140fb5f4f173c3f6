"""What particles of known pose say against their symmetry, their views and a mask, a sentence each."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.readable import percent
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.view_sampling import BIASED, view_sampling
from cryorbit.inference.band import band_within
from cryorbit.inference.copies import SYMMETRIC, copies_agreement
from cryorbit.inference.mstep import half_volumes, shell_weights
from cryorbit.inference.reconstruction import KnownPoses, reconstruct
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.masks import require_on_density
from cryorbit.volumes.voxel import resample

LOOKED_AT = 2000
"""Particles that test a symmetry."""
COARSE = 12.0
"""Fourier radius of the maps that test it, pixels: neighbouring asymmetric units are told apart by then."""


def on_symmetry(dataset: Dataset, known: KnownPoses, name: str) -> list[str]:
    """A sentence where the particles, reconstructed without symmetry, do not have the one that was asked for.

    Parameters
    ----------
    dataset
        The particles.
    known
        Their poses, half-sets and weights.
    name
        Of the point group.
    """
    if dataset.operators is None:
        return []
    halves = coarse_halves(dataset, known)
    radius = dataset.particle_radius(halves.shape[-1])
    return disagreement(copies_agreement(halves[0], halves[1], dataset.symmetry, radius), name)


def disagreement(agreement: float | None, name: str) -> list[str]:
    """A sentence on how far half-maps agree with each other's copies, if that is too little for the symmetry."""
    if agreement is None or agreement >= SYMMETRIC:
        return []
    return [
        f"The particles do not have {name} symmetry: without it, a half-map agrees with turned copies of the other "
        f"{agreement:.2f} times as well as with the other itself (1 with the symmetry). The map and its resolution "
        f"cannot be trusted. Fix: leave --symmetry out, or turn the poses to the axes of {name}."
    ]


def on_views(rotations: Float[Tensor, "n 3 3"], group: Float[Tensor, "g 3 3"], seed: int) -> list[str]:
    """A sentence where the views are uneven."""
    sampling = view_sampling(rotations, group, generator_for(seed, "views of known poses"))
    if not sampling.biased:
        return []
    return [
        f"Views are uneven, so that the map is worse in some directions: sampling compensation factor "
        f"{sampling.factor:.2f} (below {BIASED:g}: uneven), {percent(sampling.unsampled)} of the directions unsampled. "
        "Fix: collect views from other sides (tilt the stage, change the grid or the buffer)."
    ]


def require_on_halves(mask: Float[Tensor, "n n n"], dataset: Dataset, known: KnownPoses, file: Path) -> None:
    """Raise `InputError`, of its ``file``, where a mask leaves out what the particles make."""
    halves = coarse_halves(dataset, known)
    require_on_density(resample(mask, halves.shape[-1]).clamp(0, 1), halves[0], halves[1], file)


def coarse_halves(dataset: Dataset, known: KnownPoses) -> Float[Tensor, "2 m m m"]:
    """Half-maps of some particles without symmetry, at low resolution."""
    index = torch.linspace(0, len(dataset.particles) - 1, min(LOOKED_AT, len(dataset.particles))).round().long()
    band = band_within(dataset.box, min(COARSE, dataset.box / 2 - 1), dataset.noise_variance)
    statistics = reconstruct(dataset.source, index, known[index], band, classes=1)
    halves = half_volumes(statistics, shell_weights(statistics, band.grid, band.radius), band.grid)
    return halves[:, 0].cpu()
