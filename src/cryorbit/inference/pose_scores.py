"""Log-likelihoods of candidate poses, each candidate its own slice.

For a candidate e of image b with slice Y and every shift t of a small lattice, in the terms of ``Observations``,

    score_et = Re sum conj(Y_e) S_t data_b - 1/2 sum weight_b |Y_e|^2.
"""

from __future__ import annotations

from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.fourier.interpolation import gather_slices
from cryorbit.imaging.observations import Observations
from cryorbit.kernels.gather import gather_by_class
from cryorbit.kernels.table import POSE_SCORES
from cryorbit.volumes.voxel import PAD


def pose_scores(
    observations: Observations,
    candidates: tuple[Int[Tensor, " e"], Int[Tensor, " e"], Float[Tensor, "e 3 3"]],
    volumes: Complex[Tensor, "k q q h"],
    frequencies: Float[Tensor, "p 2"],
    phases: Complex[Tensor, "t p"],
) -> Float[Tensor, "e t"]:
    """Scores, in nats, of every candidate under every shift.

    Parameters
    ----------
    observations
        Images, moved to the centres of their shift lattices.
    candidates
        Image, class and rotation of each candidate; the fewer times the image changes, the less is computed twice.
    volumes
        Padded transforms of the classes, from ``volumes.voxel.synthesize``.
    frequencies
        Of the half disc, Fourier pixels.
    phases
        Of the lattice of shifts.
    """
    score = POSE_SCORES.choose(volumes)
    return score(observations.data, observations.weight, candidates, volumes, frequencies, PAD, phases)


def slices_by_class(
    klass: Int[Tensor, " e"],
    rotation: Float[Tensor, "e 3 3"],
    volumes: Complex[Tensor, "k q q h"],
    frequencies: Float[Tensor, "p 2"],
) -> Complex[Tensor, "e p"]:
    """The slice of each class in each rotation."""
    return gather_by_class(gather_slices, klass, rotation, volumes, frequencies, PAD)
