"""Misfit of images in known poses as a finite sum over images: value, gradient, Hessian products.

    f(x) = mean_i 1/2 sum_k |c_i Y_i - y_i|^2 / s  +  lambda/2 |x|^2              (Toader, Brubaker & Lederman 2025)

over the whole plane, Y_i the slice of the unknown in the pose of image i, c its CTF, s the variance of the noise. The
unknown is a vector of ``volumes.fourier_ball``; the sum is quadratic, and its Hessian the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.core.data import Poses
from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.fourier.interpolation import add_slices, gather_slices, insert_slices
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.optim.protocols import Evaluation
from cryorbit.studies.toader2023.interpolation_products import insert_squares
from cryorbit.volumes.fourier_ball import PAD, FourierBall

CHUNK_BYTES = 2**23
"""Temporaries of the images that are processed together: few enough to stay in a processor's cache."""
REGULARISATION = 1e-8

Index = Int[Tensor, " b"] | None


@dataclass(frozen=True, slots=True)
class PosedMisfit:
    """The finite sum over images; made by ``of``.

    Attributes
    ----------
    observations
        The images, moved to the centre.
    rotations
        Their poses.
    disc
        Their coefficients.
    ball
        The unknown.
    diagonal
        What ``curvature`` gives: above the Hessian if it is the weight volume.
    regularisation
        The factor lambda.
    """

    observations: Observations
    rotations: Float[Tensor, "n 3 3"]
    disc: HalfDisc
    ball: FourierBall
    diagonal: Float[Tensor, " d"]
    regularisation: float = REGULARISATION

    @classmethod
    def of(
        cls,
        observations: Observations,
        poses: Poses,
        disc: HalfDisc,
        ball: FourierBall,
        regularisation: float = REGULARISATION,
    ) -> PosedMisfit:
        """The sum over ``observations`` in their poses, with the weight volume as its curvature."""
        data = observations.data * shift_phases(poses.shifts, disc).to(observations.data)
        diagonal = observations.power.new_zeros(ball.dimension)
        rotations = poses.rotations.to(observations.power)
        problem = cls(replace(observations, data=data), rotations, disc, ball, diagonal, regularisation)
        return replace(problem, diagonal=problem.weight_volume())

    @property
    def num_terms(self) -> int:
        """Number of images."""
        return len(self.observations)

    def evaluate(self, x: Float[Tensor, " d"], idx: Index) -> Evaluation:
        """Mean misfit and its gradient."""
        half = self.ball.half_transform(x)
        total, density = torch.zeros_like(half), torch.zeros_like(half.real)
        value = torch.zeros((), dtype=torch.float64, device=x.device)
        for images, rotations in self.chunks(idx):
            slices = gather_slices(half, rotations, self.disc.frequencies, PAD)
            modelled = images.weight * slices
            misfit = 0.5 * images.power + (slices.conj() * (0.5 * modelled - images.data)).real
            value += misfit.sum(dtype=torch.float64)
            add_slices(total, density, modelled - images.data, images.weight, rotations, self.disc.frequencies, PAD)
        count = self.num_terms if idx is None else len(idx)
        penalty = 0.5 * self.regularisation * x.double().square().sum()
        return Evaluation(value / count + penalty, self.ball.adjoint(total) / count + self.regularisation * x)

    def hessian_vector(self, x: Float[Tensor, " d"], vector: Float[Tensor, " d"], idx: Index) -> Float[Tensor, " d"]:
        """Mean Hessian times ``vector``: it is seen, weighted and put back."""
        del x
        half = self.ball.half_transform(vector)
        total, density = torch.zeros_like(half), torch.zeros_like(half.real)
        for images, rotations in self.chunks(idx):
            seen = images.weight * gather_slices(half, rotations, self.disc.frequencies, PAD)
            add_slices(total, density, seen, images.weight, rotations, self.disc.frequencies, PAD)
        count = self.num_terms if idx is None else len(idx)
        return self.ball.adjoint(total) / count + self.regularisation * vector

    def curvature(self, x: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
        """The diagonal, which is the same everywhere."""
        del x
        return self.diagonal

    def weight_volume(self) -> Float[Tensor, " d"]:
        """Back-projected weights, what expectation maximisation divides by: a diagonal above the Hessian.

        The weights with which a point reads its cell sum to one, so by convexity the square of their mean is at most
        the mean of squares.
        """
        total = torch.zeros(self.ball.half_shape).to(self.observations.weight)
        for images, rotations in self.chunks(None):
            weights = images.weight
            total += insert_slices(
                torch.complex(weights, torch.zeros_like(weights)),
                weights,
                rotations,
                self.disc.frequencies,
                self.ball.grid.size,
                PAD,
            )[1]
        return self.ball.diagonal(total) / self.num_terms + self.regularisation

    def hessian_diagonal(self) -> Float[Tensor, " d"]:
        """The diagonal of the Hessian: weights back-projected with squared interpolation weights."""
        total = torch.zeros(self.ball.half_shape).to(self.observations.weight)
        for images, rotations in self.chunks(None):
            total += insert_squares(images.weight, rotations, self.disc.frequencies, self.ball.grid.size, PAD)
        return self.ball.diagonal(total) / self.num_terms + self.regularisation

    def chunks(self, idx: Index) -> Iterator[tuple[Observations, Float[Tensor, "b 3 3"]]]:
        """The images ``idx``, or all, and their poses, a chunk at a time."""
        per_image = 4 * len(self.disc) * self.observations.data.element_size()
        size = chunk_size(per_image, CHUNK_BYTES, self.num_terms)
        for part in chunks(self.num_terms if idx is None else len(idx), size):
            chosen = part if idx is None else idx[part]
            yield self.observations[chosen], self.rotations[chosen]
