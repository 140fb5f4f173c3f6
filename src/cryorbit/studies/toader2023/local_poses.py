"""Negative log-likelihood of images whose poses are known but for a small neighbourhood, integrated out.

    f(x) = mean_i -log mean_{r,t} exp(-1/2 sum_k |c_i S_t Y_r - y_i|^2 / s)  +  lambda/2 |x|^2

over the rotations and shifts at most a step away from a pose of each image's own; unknown and terms are those of
``posed_misfit``. The gradient is the posterior mean of gradients in known poses, and the Hessian that of
their Hessians less the posterior covariance of gradients.

Axes of matrix code: B images, R rotations, T shifts, P coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.fourier.interpolation import add_slices, gather_slices
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_grid import neighbourhood
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.optim.protocols import Evaluation
from cryorbit.studies.toader2023.posed_misfit import PosedMisfit
from cryorbit.volumes.fourier_ball import PAD, FourierBall

CHUNK_BYTES = 2**25
"""Temporaries of the images that are processed together."""

Index = Int[Tensor, " b"] | None


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Poses about each image's own.

    Attributes
    ----------
    spacing
        Step of the rotations, degrees; 19 are at most about a step away.
    lattice
        Shifts, pixels.
    reach
        Steps of rotation to either side.
    """

    spacing: float
    lattice: Float[Tensor, "t 2"]
    reach: int = 1

    @classmethod
    def of(cls, spacing: float, shift_step: float) -> Neighbourhood:
        """The 19 rotations and 9 shifts at most one step away."""
        return cls(spacing, disc_grid(1.5 * shift_step, shift_step))


@dataclass(frozen=True, slots=True)
class LocalPoses:
    """The finite sum over images; made by ``of``.

    Attributes
    ----------
    known
        The same images in the poses that the neighbourhoods are about; its diagonal is what ``curvature`` gives.
    around
        The neighbourhoods.
    phases
        Factors that move an image by each shift of the lattice.
    """

    known: PosedMisfit
    around: Neighbourhood
    phases: Complex[Tensor, "t p"]

    @classmethod
    def of(cls, known: PosedMisfit, around: Neighbourhood) -> LocalPoses:
        """The sum with the poses of ``known`` integrated over; its curvature is the weight volume of the prior."""
        phases = shift_phases(around.lattice, known.disc).to(known.observations.data)
        problem = cls(known, around, phases)
        return replace(problem, known=replace(known, diagonal=problem.prior_weights()))

    @property
    def num_terms(self) -> int:
        """Number of images."""
        return self.known.num_terms

    @property
    def ball(self) -> FourierBall:
        """The unknown."""
        return self.known.ball

    @property
    def disc(self) -> HalfDisc:
        """The coefficients of an image."""
        return self.known.disc

    def evaluate(self, x: Float[Tensor, " d"], idx: Index) -> Evaluation:
        """Mean negative log-likelihood, relative to noise without a particle in perfect fit, and its gradient."""
        half = self.ball.half_transform(x)
        total = torch.zeros_like(half)
        value = torch.zeros((), dtype=torch.float64, device=x.device)
        for images, rotations in self._chunks(idx):
            slices_BRP = self._gather(half, rotations)
            scores_BRT = self._scores(images, slices_BRP)
            evidence_B = scores_BRT.flatten(1).logsumexp(1) - math.log(scores_BRT[0].numel())
            value += (0.5 * images.power.sum(1) - evidence_B).sum(dtype=torch.float64)
            gamma_BRT = scores_BRT.flatten(1).softmax(1).view_as(scores_BRT)
            self._insert(total, self._pull(images, slices_BRP, gamma_BRT), rotations)
        count = self.num_terms if idx is None else len(idx)
        penalty = 0.5 * self.known.regularisation * x.double().square().sum()
        return Evaluation(value / count + penalty, self.ball.adjoint(total) / count + self.known.regularisation * x)

    def hessian_vector(self, x: Float[Tensor, " d"], vector: Float[Tensor, " d"], idx: Index) -> Float[Tensor, " d"]:
        """Mean Hessian times ``vector``, the derivative of the gradient along it; not always positive."""
        half, turn = self.ball.half_transform(x), self.ball.half_transform(vector)
        total = torch.zeros_like(half)
        for images, rotations in self._chunks(idx):
            slices_BRP, turns_BRP = self._gather(half, rotations), self._gather(turn, rotations)
            scores_BRT = self._scores(images, slices_BRP)
            gamma_BRT = scores_BRT.flatten(1).softmax(1).view_as(scores_BRT)
            cross_BR = (images.weight[:, None] * (slices_BRP.conj() * turns_BRP).real).sum(2)
            slope_BRT = self._overlap(images, turns_BRP) - cross_BR[..., None]
            drift_BRT = gamma_BRT * (slope_BRT - (gamma_BRT * slope_BRT).sum((1, 2), keepdim=True))
            seen_BRP = gamma_BRT.sum(2)[..., None] * images.weight[:, None] * turns_BRP
            self._insert(total, seen_BRP + self._pull(images, slices_BRP, drift_BRT), rotations)
        count = self.num_terms if idx is None else len(idx)
        return self.ball.adjoint(total) / count + self.known.regularisation * vector

    def curvature(self, x: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
        """The diagonal of ``known``."""
        return self.known.curvature(x)

    def prior_weights(self) -> Float[Tensor, " d"]:
        """Back-projected weights, were all poses of a neighbourhood equally probable."""
        half = torch.zeros(self.ball.half_shape).to(self.known.observations.data)
        density = torch.zeros_like(half.real)
        for images, rotations in self._chunks(None):
            weights = (images.weight / rotations.shape[1])[:, None].expand(-1, rotations.shape[1], -1).flatten(0, 1)
            zeros = torch.zeros_like(weights, dtype=half.dtype)
            add_slices(half, density, zeros, weights, rotations.flatten(0, 1), self.disc.frequencies, PAD)
        return self.ball.diagonal(density) / self.num_terms + self.known.regularisation

    def _chunks(self, idx: Index) -> Iterator[tuple[Observations, Float[Tensor, "b r 3 3"]]]:
        """The images ``idx``, or all, and the rotations about their poses, a chunk at a time."""
        rotations_each = neighbourhood(self.known.rotations[:1], self.around.spacing, self.around.reach).shape[1]
        per_image = 4 * rotations_each * len(self.disc) * self.phases.element_size()
        size = chunk_size(per_image, CHUNK_BYTES, self.num_terms)
        for part in chunks(self.num_terms if idx is None else len(idx), size):
            chosen = part if idx is None else idx[part]
            rotations = neighbourhood(self.known.rotations[chosen], self.around.spacing, self.around.reach)
            yield self.known.observations[chosen], rotations

    def _gather(self, half: Complex[Tensor, "m m h"], rotations: Float[Tensor, "b r 3 3"]) -> Complex[Tensor, "b r p"]:
        slices = gather_slices(half, rotations.flatten(0, 1), self.disc.frequencies, PAD)
        return slices.view(*rotations.shape[:2], -1)

    def _insert(
        self, total: Complex[Tensor, "m m h"], values: Complex[Tensor, "b r p"], rotations: Float[Tensor, "b r 3 3"]
    ) -> None:
        """Add the slices to the half transform."""
        flat = values.flatten(0, 1)
        add_slices(
            total, torch.zeros_like(total.real), flat, flat.real, rotations.flatten(0, 1), self.disc.frequencies, PAD
        )

    def _overlap(self, images: Observations, slices_BRP: Complex[Tensor, "b r p"]) -> Float[Tensor, "b r t"]:
        """``Re sum conj(Y) S data`` for every shift."""
        product = torch.view_as_real((slices_BRP.conj() * images.data[:, None]).resolve_conj()).flatten(2)
        # Re(z w) = z_re w_re - z_im w_im: the conjugate phases make it a real product of interleaved columns
        return product @ torch.view_as_real(self.phases.conj().resolve_conj()).flatten(1).mT

    def _scores(self, images: Observations, slices_BRP: Complex[Tensor, "b r p"]) -> Float[Tensor, "b r t"]:
        """Log-likelihoods relative to no particle."""
        norm_BR = 0.5 * (images.weight[:, None] * slices_BRP.abs().square()).sum(2)
        return self._overlap(images, slices_BRP) - norm_BR[..., None]

    def _pull(
        self, images: Observations, slices_BRP: Complex[Tensor, "b r p"], gamma_BRT: Float[Tensor, "b r t"]
    ) -> Complex[Tensor, "b r p"]:
        """Weighted sum over shifts of modelled less observed data, in every rotation."""
        modelled = gamma_BRT.sum(2)[..., None] * images.weight[:, None] * slices_BRP
        return modelled - (gamma_BRT.to(self.phases) @ self.phases) * images.data[:, None]
