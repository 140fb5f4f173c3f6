"""What a method is given: the sum over particles, that over those held out, and a start."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.slices import SliceOperator
from cryorbit.inference.grey_scale import explained_scale
from cryorbit.inference.pose_quadrature import PoseQuadrature
from cryorbit.inference.priors import DensityPrior
from cryorbit.inference.random_start import random_blobs
from cryorbit.inference.volume_oracle import VolumeOracle
from cryorbit.volumes.voxel import working_grid

REACH = 0.33
"""Radius of the random start, in boxes."""
EXPLAINED = 0.5
"""Part of the images' power above the noise that a random start has."""
PROBES = 500
"""Slices by which the power of a start is measured."""


@dataclass(frozen=True, slots=True)
class OptimiseProblem:
    """A density to be found.

    Attributes
    ----------
    oracle
        The sum over the images that train.
    held_out
        That over the images that judge.
    start
        The first unknown.
    """

    oracle: VolumeOracle
    held_out: VolumeOracle
    start: Float[Tensor, "1 n n n"]


def make_problem(
    observations: Observations,
    disc: HalfDisc,
    quadrature: PoseQuadrature,
    prior: DensityPrior,
    held_out: int,
    seed: int,
) -> OptimiseProblem:
    """The problem of all images but the last ``held_out``, from the random start of a seed."""
    train = len(observations) - held_out
    grid = working_grid(disc.box, disc.radius)
    oracle = VolumeOracle.of(observations[:train], grid, disc, quadrature, prior)
    return OptimiseProblem(oracle, oracle.with_images(observations[train:]), random_start(oracle, seed))


def random_start(oracle: VolumeOracle, seed: int) -> Float[Tensor, "1 n n n"]:
    """A sum of random spheres, as strong as part of what the images hold above their noise.

    A start that is too strong makes the first posteriors collapse on whatever it resembles.
    """
    size = oracle.model.operator.grid.size
    spheres = random_blobs(size, REACH * size, generator_for(seed, "start volume")).to(oracle.observations.weight)
    return oracle.model.unknown(spheres * scale_to_images(oracle, spheres))


def scale_to_images(oracle: VolumeOracle, density: Float[Tensor, "n n n"]) -> float:
    """Factor on a density that gives its slices part of the power of the images above their noise."""
    operator, observations = oracle.model.operator, oracle.observations
    some = operator.rotations[:: max(1, len(operator.rotations) // PROBES)]
    slices = SliceOperator(operator.grid, operator.disc, some).project(density)
    return explained_scale(observations, slices, EXPLAINED)
