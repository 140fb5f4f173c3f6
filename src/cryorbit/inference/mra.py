"""Windowed multireference alignment as a finite sum: likelihood, gradient, Hessian products, E-step and M-step.

Observations ``y_i = R_l x + noise`` show a signal x under hidden shifts l of density rho. The sum is the mean of

    f_i = -log sum_l rho_l exp(-|y_i - R_l x|^2 / 2 sigma^2)                       (Paul 2024, equation 4.18)

over the unknown ``(x, rho~)`` with ``rho = softmax(rho~)``: a tensor of c + 1 rows of n samples, the channels of the
signal (two for a complex one: real and imaginary part) and rho~, which has mean zero in what is returned here, as
adding a constant to it changes nothing.

One E-step feeds everything: the responsibilities enter by their sums over observations only, so gradient, M-step and
residual are linear maps of the same sufficient statistics, the back-projected observations and the expected counts of
shifts. Axes of matrix code: B observations, T shifts, P entries of a window in all channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.optim.protocols import Evaluation, Expectation

LEAST_COUNT = 1e-10
"""Least expected share of a shift, so that its logarithm exists."""
KEPT_COUNT = 1e-3
"""Least part of the reference counts that statistics are mended to."""
CHUNK = 8192
"""Observations scored at once: their scores stay in the processor's cache."""

Index = Int[Tensor, " b"] | None


@dataclass(frozen=True, slots=True)
class MRAOracle:
    """The finite sum over observations; made by ``of``.

    Attributes
    ----------
    observations
        Observations as rows, channels one after another.
    energies
        Half their squared norms over the noise variance.
    shifts
        The forward model.
    noise_variance
        Variance of the noise in every real entry.
    """

    observations: Float[Tensor, "n p"]
    energies: Float[Tensor, " n"]
    shifts: WindowedShifts
    noise_variance: float

    @classmethod
    def of(cls, observations: Float[Tensor, "n c w"], length: int, sigma: float) -> MRAOracle:
        """The sum over ``observations`` of a signal of ``length`` samples in noise of standard deviation ``sigma``."""
        data = observations.flatten(1).contiguous()
        energy = data.square().sum(1) / (2 * sigma**2)
        return cls(data, energy, WindowedShifts.of(length, observations.shape[2], data), sigma**2)

    @property
    def num_terms(self) -> int:
        """Number of observations."""
        return len(self.observations)

    def evaluate(self, x: Float[Tensor, "d t"], idx: Index) -> Evaluation:
        """Mean negative log-likelihood and its gradient."""
        expectation = self.expect(x, idx)
        signal, density = self._split(x)
        backprojected, counts = expectation.statistics[:-1], expectation.statistics[-1]
        pull = (self.shifts.normal(counts) * signal - backprojected) / self.noise_variance
        return Evaluation(expectation.value, torch.cat([pull, (density - counts)[None]]))

    def expect(self, x: Float[Tensor, "d t"], idx: Index) -> Expectation:
        """Mean negative log-likelihood; mean back-projected observations and, below them, expected shares of shifts."""
        templates_TP, offset_T = self._templates(x)
        total, count = x.new_zeros(()), 0
        sums_TP, shares_T = torch.zeros_like(templates_TP), torch.zeros_like(offset_T)
        for data_BP, energy_B in self._chunks(idx):
            logp_BT = torch.addmm(offset_T, data_BP, templates_TP.mT)
            peak_B1 = logp_BT.amax(1, keepdim=True)
            joint_BT = logp_BT.sub_(peak_B1).exp_()
            evidence_B1 = joint_BT.sum(1, keepdim=True)
            # the narrow data are divided by the evidence, not the wide posterior
            sums_TP.addmm_(joint_BT.mT, data_BP / evidence_B1)
            shares_T.addmv_(joint_BT.mT, evidence_B1[:, 0].reciprocal())
            total = total + (energy_B[:, None] - peak_B1 - evidence_B1.log()).sum()
            count += len(data_BP)
        backprojected = self.shifts.backproject(sums_TP.view(len(offset_T), -1, self.shifts.window))
        return Expectation(total / count, torch.cat([backprojected, shares_T[None]]) / count)

    def hessian_vector(self, x: Float[Tensor, "d t"], vector: Float[Tensor, "d t"], idx: Index) -> Float[Tensor, "d t"]:
        """Mean Hessian times ``vector``: the derivative of the gradient along it."""
        (signal, density), (turn, drift) = self._split(x), (vector[:-1], vector[-1])
        templates_TP, offset_T = self._templates(x)
        tilt_TP = self.shifts.project(turn).flatten(1)
        # what is the same for all shifts, such as the mean drift, moves no posterior
        drift_T = drift - (templates_TP * tilt_TP).sum(1)
        counts_T, sums_TP = torch.zeros_like(offset_T), torch.zeros_like(templates_TP)
        changes_T, count = torch.zeros_like(offset_T), 0
        for data_BP, _ in self._chunks(idx):
            posterior_BT = torch.addmm(offset_T, data_BP, templates_TP.mT).softmax(1)
            slope_BT = torch.addmm(drift_T, data_BP, tilt_TP.mT, alpha=1 / self.noise_variance)
            change_BT = posterior_BT * (slope_BT - (posterior_BT * slope_BT).sum(1, keepdim=True))
            counts_T += posterior_BT.sum(0)
            changes_T += change_BT.sum(0)
            sums_TP.addmm_(change_BT.mT, data_BP)
            count += len(data_BP)
        normal = self.shifts.normal
        moved = self.shifts.backproject(sums_TP.view(len(offset_T), -1, self.shifts.window))
        pull = (normal(changes_T) * signal + normal(counts_T) * turn - moved) / (self.noise_variance * count)
        return torch.cat([pull, (density * (drift - density @ drift) - changes_T / count)[None]])

    def curvature(self, x: Float[Tensor, "d t"]) -> Float[Tensor, "d t"]:
        """Diagonal information of complete data, were shifts of the density at ``x`` known."""
        signal, density = self._split(x)
        seen = self.shifts.normal(density) / self.noise_variance
        return torch.cat([seen.expand_as(signal), density[None]]).clamp_min(LEAST_COUNT)

    def maximise(self, statistics: Float[Tensor, "d t"]) -> Float[Tensor, "d t"]:
        """M-step: back-projected observations over how often each sample is seen; logarithms of the shares."""
        shares = (statistics[-1] / statistics[-1].sum()).clamp_min(LEAST_COUNT)
        seen = self.shifts.normal(statistics[-1]).clamp_min(torch.finfo(statistics.dtype).tiny)
        logits = shares.log()
        return torch.cat([statistics[:-1] / seen, (logits - logits.mean())[None]])

    def admissible(self, statistics: Float[Tensor, "d t"], reference: Float[Tensor, "d t"]) -> Float[Tensor, "d t"]:
        """Statistics whose shares are at least a small part of those of ``reference``."""
        shares = torch.maximum(statistics[-1], KEPT_COUNT * reference[-1])
        return torch.cat([statistics[:-1], shares[None]])

    def _split(self, x: Float[Tensor, "d t"]) -> tuple[Float[Tensor, "c t"], Float[Tensor, " t"]]:
        """Signal and density."""
        return x[:-1], x[-1].softmax(0)

    def _templates(self, x: Float[Tensor, "d t"]) -> tuple[Float[Tensor, "t p"], Float[Tensor, " t"]]:
        """Shifted signals over the noise variance, and what is added to their products with the data to give log P."""
        templates_TP = self.shifts.project(x[:-1]).flatten(1)
        power_T = templates_TP.square().sum(1) / (2 * self.noise_variance)
        return templates_TP / self.noise_variance, x[-1].log_softmax(0) - power_T

    def _chunks(self, idx: Index) -> Iterator[tuple[Float[Tensor, "b p"], Float[Tensor, " b"]]]:
        """Observations ``idx``, or all, and their energies, a chunk at a time."""
        for part in chunks(self.num_terms if idx is None else len(idx), CHUNK):
            chosen = part if idx is None else idx[part]
            yield self.observations[chosen], self.energies[chosen]


def start_unknown(signal: Float[Tensor, "c n"]) -> Float[Tensor, "d n"]:
    """The unknown of a signal and a uniform density."""
    return torch.cat([signal, torch.zeros_like(signal[:1])])
