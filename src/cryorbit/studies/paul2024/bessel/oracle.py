"""Low-dimensional cryo-EM as a finite sum: images of a volume in the spherical Bessel basis, in hidden poses.

Images ``y_i = C_i A_g a + noise`` show a volume of coefficients a in hidden poses g of known density rho, under J
different transfer functions C_i. The sum is the mean of

    f_i = -log sum_g rho_g exp(-|y_i - C_i A_g a|^2 / 2 sigma^2) - q / 2           (Paul 2024, equation 4.25)

over a, where the constant q is the number of real coordinates of an image: without noise's share the value stays near
zero, and differences of consecutive values keep their digits.

All slices lie in a space of r dimensions, fewer than q: an image enters as ``x_i = C_i y_i`` within it, with the
matrix ``K_j = C_j^2`` within it, and nothing is lost. Posteriors enter as sums over images only: gradient, Hessian
products and statistics of EM are made of the sums of images and of the shares of poses. Axes of matrix code: B images,
R poses, J transfer functions, P coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.optim.protocols import Evaluation, Expectation
from cryorbit.studies.paul2024.bessel.slices import BesselSlices

CHUNK_BYTES = 2**22
"""Scores of images that are worked on at once: they stay in the processor's cache."""
ROUNDING = 1e3
"""Part of the largest information below which a direction counts as unseen, in units of the machine's precision."""
KEPT_WEIGHT = 1e-3
"""Least part of the reference's normal matrix that statistics are mended to, in every direction."""

Index = Int[Tensor, " b"] | None


@dataclass(frozen=True, slots=True)
class BesselOracle:
    """The finite sum over images; made by ``of``.

    Attributes
    ----------
    rows
        Of every image, ``x_i`` over the noise variance, and then a one in the column of its transfer function.
    energies
        Of every image, ``|y_i|^2 / 2 sigma^2 - q / 2``.
    slices
        Slices within the space that they fill.
    grams
        ``K_j`` over the noise variance.
    normals
        ``A_g^T K_j A_g`` over the noise variance, flat.
    log_density
        Logarithms of rho.
    """

    rows: Float[Tensor, "n p"]
    energies: Float[Tensor, " n"]
    slices: BesselSlices
    grams: Float[Tensor, "j r r"]
    normals: Float[Tensor, "j g e"]
    log_density: Float[Tensor, " g"]

    @classmethod
    def of(
        cls,
        images: Float[Tensor, "n q"],
        slices: BesselSlices,
        sigma: float,
        density: Float[Tensor, " g"],
        ctf: tuple[Float[Tensor, "j q"], Int[Tensor, " n"]] | None = None,
    ) -> BesselOracle:
        """The sum over images in real coordinates.

        Parameters
        ----------
        images
            Images in the coordinates of ``slices``.
        slices
            Slices at the poses of a quadrature.
        sigma
            Standard deviation of the noise in every coordinate.
        density
            Probabilities of the poses, of sum 1.
        ctf
            Transfer functions in the same coordinates, and which of them every image has; None for none.
        """
        compressed, space = slices.compressed()
        transfer, which = ctf if ctf is not None else (torch.ones_like(images[:1]), None)
        which = torch.zeros(len(images), dtype=torch.long, device=images.device) if which is None else which
        grams = space.mT @ (transfer.square()[:, :, None] * space) / sigma**2
        rows = (images * transfer[which]) @ space / sigma**2
        indicator = torch.nn.functional.one_hot(which, len(transfer)).to(rows)
        energies = (images.square().sum(1) / sigma**2 - images.shape[1]) / 2
        normals = torch.stack([compressed.normal_matrices(gram) for gram in grams]).flatten(2)
        return cls(torch.cat([rows, indicator], 1), energies, compressed, grams, normals, density.log())

    @property
    def num_terms(self) -> int:
        """Number of images."""
        return len(self.rows)

    def evaluate(self, x: Float[Tensor, " d"], idx: Index) -> Evaluation:
        """Mean negative log-likelihood and its gradient."""
        slices_RP = self.slices.project(x)
        value, sums_RP, shares_RJ = self._sums(slices_RP, idx)
        return Evaluation(value, self.slices.backproject(self._weigh(slices_RP, shares_RJ) - sums_RP))

    def expect(self, x: Float[Tensor, " d"], idx: Index) -> Expectation:
        """Mean negative log-likelihood; mean back-projected images as a column beside the mean normal matrix."""
        value, sums_RP, shares_RJ = self._sums(self.slices.project(x), idx)
        normal = torch.einsum("rj,jre->e", shares_RJ, self.normals).view(len(x), len(x))
        return Expectation(value, torch.cat([self.slices.backproject(sums_RP)[:, None], normal], 1))

    def hessian_vector(self, x: Float[Tensor, " d"], vector: Float[Tensor, " d"], idx: Index) -> Float[Tensor, " d"]:
        """Mean Hessian times ``vector``: the derivative of the gradient along it."""
        slices_RP, tilts_RP = self.slices.project(x), self.slices.project(vector)
        scores_RP = self._scores(slices_RP)
        drift_RJ = -((slices_RP @ self.grams) * tilts_RP).sum(-1).mT
        slopes_RP = torch.cat([tilts_RP, drift_RJ], 1)
        totals_RP, changes_RP, count = torch.zeros_like(scores_RP), torch.zeros_like(scores_RP), 0
        for rows_BP, _ in self._chunks(idx):
            posterior_BR = torch.addmm(self.log_density, rows_BP, scores_RP.mT).softmax(1)
            slope_BR = rows_BP @ slopes_RP.mT
            change_BR = posterior_BR * (slope_BR - (posterior_BR * slope_BR).sum(1, keepdim=True))
            totals_RP.addmm_(posterior_BR.mT, rows_BP)
            changes_RP.addmm_(change_BR.mT, rows_BP)
            count += len(rows_BP)
        moved_RP, moved_RJ = self._split(changes_RP / count)
        shares_RJ = self._split(totals_RP / count)[1]
        turned_RP = self._weigh(slices_RP, moved_RJ) + self._weigh(tilts_RP, shares_RJ)
        return self.slices.backproject(turned_RP - moved_RP)

    def curvature(self, x: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
        """Diagonal information of complete data, were poses of the given density known."""
        share = self.rows[:, self.grams.shape[1] :].mean(0)
        normal = torch.einsum("r,j,jre->e", self.log_density.exp(), share, self.normals)
        return normal.view(len(x), len(x)).diagonal()

    def maximise(self, statistics: Float[Tensor, "d e"]) -> Float[Tensor, " d"]:
        """M-step: the shortest solution of the normal equations, as few poses with all the weight leave some unseen."""
        smallest = ROUNDING * torch.finfo(statistics.dtype).eps
        return torch.linalg.pinv(statistics[:, 1:], rtol=smallest, hermitian=True) @ statistics[:, 0]

    def admissible(self, statistics: Float[Tensor, "d e"], reference: Float[Tensor, "d e"]) -> Float[Tensor, "d e"]:
        """Statistics whose normal matrix is at least a small part of that of ``reference`` in every direction."""
        factor = torch.linalg.cholesky(reference[:, 1:])
        half = torch.linalg.solve_triangular(factor, statistics[:, 1:], upper=False)
        ratio = torch.linalg.solve_triangular(factor, half.mT, upper=False)
        sizes, directions = torch.linalg.eigh((ratio + ratio.mT) / 2)
        if sizes[0] >= KEPT_WEIGHT:
            return statistics
        axes = factor @ directions
        return torch.cat([statistics[:, :1], (axes * sizes.clamp_min(KEPT_WEIGHT)) @ axes.mT], 1)

    def _sums(
        self, slices_RP: Float[Tensor, "g r"], idx: Index
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "g r"], Float[Tensor, "g j"]]:
        """Mean value; means over images of posterior times image, and of the posterior by transfer function."""
        scores_RP = self._scores(slices_RP)
        total, sums_RP, count = slices_RP.new_zeros(()), torch.zeros_like(scores_RP), 0
        for rows_BP, energy_B in self._chunks(idx):
            logp_BR = torch.addmm(self.log_density, rows_BP, scores_RP.mT)
            peak_B1 = logp_BR.amax(1, keepdim=True)
            joint_BR = logp_BR.sub_(peak_B1).exp_()
            evidence_B1 = joint_BR.sum(1, keepdim=True)
            # the narrow images are divided by the evidence, not the wide posterior
            sums_RP.addmm_(joint_BR.mT, rows_BP / evidence_B1)
            total = total + (energy_B[:, None] - peak_B1 - evidence_B1.log()).sum()
            count += len(rows_BP)
        return total / count, *self._split(sums_RP / count)

    def _scores(self, slices_RP: Float[Tensor, "g r"]) -> Float[Tensor, "g p"]:
        """What gives log-likelihoods, multiplied by rows: slices, and half their squares under each ``K_j``."""
        power_RJ = ((slices_RP @ self.grams) * slices_RP).sum(-1).mT
        return torch.cat([slices_RP, power_RJ / -2], 1)

    def _weigh(self, slices_RP: Float[Tensor, "g r"], shares_RJ: Float[Tensor, "g j"]) -> Float[Tensor, "g r"]:
        """``sum_j shares_j K_j`` times the slices."""
        return ((slices_RP @ self.grams) * shares_RJ.mT[..., None]).sum(0)

    def _split(self, sums_RP: Float[Tensor, "g p"]) -> tuple[Float[Tensor, "g r"], Float[Tensor, "g j"]]:
        """Columns of images and columns of transfer functions."""
        images, functions = sums_RP.tensor_split([self.grams.shape[1]], 1)
        return images, functions

    def _chunks(self, idx: Index) -> Iterator[tuple[Float[Tensor, "b p"], Float[Tensor, " b"]]]:
        """Rows and energies of the images ``idx``, or of all, a chunk at a time."""
        count = self.num_terms if idx is None else len(idx)
        size = chunk_size(8 * len(self.log_density), CHUNK_BYTES, count)
        for part in chunks(count, size):
            chosen = part if idx is None else idx[part]
            yield self.rows[chosen], self.energies[chosen]
