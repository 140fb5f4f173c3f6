"""A noise spectrum measured during a stochastic search: decaying sums of squared residuals, held back at the start.

After n mini-batches of M_i images the variance of shell l is (notes on cryoSPARC, "Noise model"; Punjani et al. 2017)

    sigma_l^2 = (S_l + w0 s_l + v g^n f s_l) / (w_l + w0 + v g^n)
    w_l = sum_i g^(n-i) M_i C_li^2,    S_l = sum_i g^(n-i) M_i C_li^2 e_li^2

with C_li^2 the mean squared CTF of the shell in mini-batch i, e_li^2 the mean squared residual under its posterior,
and s_l the variance before any residual. The notes print g^(k-1) in w and leave C^2 out of S; sigma^2 would not tend
to e^2. Their second index counts iterations: one spectrum serves all classes, whose likelihoods compare under it alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.conventions import HERMITIAN_WEIGHT
from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.fourier.shells import shell_sums
from cryorbit.imaging.observations import Observations


@dataclass(frozen=True, slots=True)
class RunningNoise:
    """How a running noise spectrum is weighted.

    Attributes
    ----------
    decay
        g: what a mini-batch keeps of the weight of those before it.
    prior
        w0: weight of the variance before any residual, in images.
    inflated
        v: weight of the inflated variance at the start, in images.
    inflation
        f: the inflated variance over the one before any residual.
    """

    decay: float
    prior: float
    inflated: float
    inflation: float

    def spectrum(self, sums: ResidualSums, start: Float[Tensor, " s"]) -> Float[Tensor, " s"]:
        """Noise variance of each shell after the mini-batches of ``sums``; ``start`` is that before any residual."""
        inflated = self.inflated * self.decay**sums.batches
        total = sums.residual + (self.prior + inflated * self.inflation) * start
        return total / (sums.weight + self.prior + inflated)

    def joined(self, sums: ResidualSums, batch: ResidualSums) -> ResidualSums:
        """The sums with those of one more mini-batch."""
        return ResidualSums(
            self.decay * sums.weight + batch.weight,
            self.decay * sums.residual + batch.residual,
            sums.batches + batch.batches,
        )


@dataclass(frozen=True, slots=True)
class ResidualSums:
    """Decayed sums over mini-batches.

    Attributes
    ----------
    weight
        w_l of shells 0 ... box / 2, in images.
    residual
        S_l, a variance times images.
    batches
        How many mini-batches they have.
    """

    weight: Float[Tensor, " s"]
    residual: Float[Tensor, " s"]
    batches: int


def no_residuals(like: Float[Tensor, " s"]) -> ResidualSums:
    """The sums before the first mini-batch."""
    return ResidualSums(torch.zeros_like(like), torch.zeros_like(like), 0)


def batch_residuals(
    residual: Float[Tensor, " p"], observations: Observations, disc: HalfDisc, noise_variance: Float[Tensor, " s"]
) -> ResidualSums:
    """The sums of one mini-batch.

    Parameters
    ----------
    residual
        Of each coefficient, the squared residual under the posterior, mean over images, in the units of
        ``Observations.power``.
    observations, disc
        The images on the half disc.
    noise_variance
        Of the shells, as the observations assumed it.
    """
    ones = torch.ones_like(residual)
    count, shells = len(noise_variance), disc.shells
    sums = shell_sums(torch.stack([ones, residual, observations.weight.mean(0)]), shells, count)
    # both are h times a square over the assumed variance; shells without coefficients keep a weight of zero
    error, transfer = sums[1:] / sums[0].clamp_min(1) * noise_variance / HERMITIAN_WEIGHT
    weight = len(observations) * transfer
    return ResidualSums(weight, weight * error, 1)


def white(noise_variance: Float[Tensor, " s"]) -> Float[Tensor, " s"]:
    """The same variance in every shell: the mean over the disc of shells 0 ... s - 1."""
    # a shell has about as many coefficients as its radius says; the origin is not used
    shells = torch.arange(len(noise_variance)).to(noise_variance)
    return torch.full_like(noise_variance, float((noise_variance * shells).sum() / shells.sum()))
