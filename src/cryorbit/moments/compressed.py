"""Moments in a subspace of few dimensions, so that large images work: range finding, projection, third moments.

The second moment of images of d coefficients has d^2 entries but few directions that rise above the noise. They are
found from the second moment itself where it fits memory, else in a pass of its own from products with random vectors
(randomised range finding, shared weights) or from some of its columns (any CTFs, which are divided out entry by entry).
A second pass over the projected observations then gives their moments; memory is d times the rank, never d^2.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.moments.empirical import LEAST_WEIGHT
from cryorbit.moments.pair import Moments


@dataclass(frozen=True, slots=True)
class Subspace:
    """Observations y are seen as ``basis^T y``; orthonormal columns."""

    basis: Float[Tensor, "d r"]

    def project(self, vectors: Float[Tensor, "*b d"]) -> Float[Tensor, "*b r"]:
        """Coordinates of vectors."""
        return vectors @ self.basis

    def compress(self, moments: Moments) -> Moments:
        """Moments of the coordinates."""
        return Moments(self.project(moments.first), self.basis.mT @ moments.second @ self.basis)


def leading_subspace(second: Float[Tensor, "d d"], lost: float = 0.0, floor: float = 0.0) -> Subspace:
    """The leading eigenvectors of a second moment.

    Parameters
    ----------
    second
        Symmetric; negative eigenvalues are noise.
    lost
        Part of the sum of squared eigenvalues that may be left out.
    floor
        Eigenvalues at most this large are left out; see ``noise_edge``.
    """
    values, vectors = torch.linalg.eigh(second)
    values, vectors = values.flip(0), vectors.flip(1)
    return Subspace(vectors[:, : _rank(values, lost, floor)])


def noise_edge(errors: Float[Tensor, "d d"]) -> float:
    """Largest eigenvalue to expect of a symmetric matrix of noise with these standard deviations.

    Twice the largest root of a row's summed variances, the edge of Wigner's semicircle where all are alike.
    """
    return 2 * float(errors.square().sum(1).max().sqrt())


@dataclass(frozen=True, slots=True)
class RangeSums:
    """First pass with shared weights: products of the second moment with random vectors; sums add over chunks.

    Observations are whitened: their noise has variance 1 in every entry.

    Attributes
    ----------
    count
        Number of observations.
    probes
        Random vectors, the same in every chunk.
    products
        Sum of ``y (y^T probes)``.
    """

    count: int
    probes: Float[Tensor, "d s"]
    products: Float[Tensor, "d s"]

    @classmethod
    def of(cls, whitened: Float[Tensor, "n d"], probes: Float[Tensor, "d s"]) -> RangeSums:
        """Sums of n whitened observations."""
        return cls(len(whitened), probes, (whitened.mT @ (whitened @ probes.to(whitened))).double())

    def __add__(self, other: RangeSums) -> RangeSums:
        """Sums over both sets of observations."""
        return RangeSums(self.count + other.count, self.probes, self.products + other.products)

    def subspace(self, lost: float) -> Subspace:
        """Directions of the second moment, all but a part ``lost`` of the squared singular values of the products."""
        left, values, _ = torch.linalg.svd(self.products / self.count - self.probes, full_matrices=False)
        return Subspace(left[:, : _rank(values, lost, 0.0)])


@dataclass(frozen=True, slots=True)
class ColumnSums:
    """First pass with CTFs: some columns of the second moment; data and weights as in `empirical`.

    Attributes
    ----------
    count
        Number of observations.
    columns
        Which columns, the same in every chunk.
    products, weights
        Columns of the sums of outer products of data, less their noise, and of weights.
    """

    count: int
    columns: Int[Tensor, " c"]
    products: Float[Tensor, "d c"]
    weights: Float[Tensor, "d c"]

    @classmethod
    def of(cls, data: Float[Tensor, "n d"], weight: Float[Tensor, "n d"], columns: Int[Tensor, " c"]) -> ColumnSums:
        """Sums of n observations."""
        products = (data.mT @ data[:, columns]).double()
        products[columns, torch.arange(len(columns), device=columns.device)] -= weight[:, columns].sum(0).double()
        return cls(len(data), columns, products, (weight.mT @ weight[:, columns]).double())

    def __add__(self, other: ColumnSums) -> ColumnSums:
        """Sums over both sets of observations."""
        summed = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        return ColumnSums(**{**summed, "columns": self.columns})

    def values(self) -> Float[Tensor, "d c"]:
        """The columns of the second moment."""
        return self.products / self.weights.clamp_min(LEAST_WEIGHT * float(self.weights.max()))

    def subspace(self, lost: float) -> Subspace:
        """Directions that the columns span, all but a part ``lost`` of the squared singular values."""
        left, values, _ = torch.linalg.svd(self.values(), full_matrices=False)
        return Subspace(left[:, : _rank(values, lost, 0.0)])

    def second(self, subspace: Subspace, floor: float) -> Float[Tensor, "r r"]:
        """The compressed second moment that the columns alone imply: ``C K^-1 C^T`` with K their own rows.

        Exact for a matrix whose rank is that of K; eigenvalues of K at most ``floor`` are left out, as they are noise.
        """
        values = self.values()
        core, vectors = torch.linalg.eigh(0.5 * (values[self.columns] + values[self.columns].mT))
        kept = core > floor
        half = subspace.basis.mT @ values @ (vectors[:, kept] / core[kept].sqrt())
        return half @ half.mT


@dataclass(frozen=True, slots=True)
class ThirdSums:
    """Third moment of projected observations with noise of variance 1; sums add over chunks."""

    count: int
    vectors: Float[Tensor, " r"]
    triples: Float[Tensor, "r r r"]

    @classmethod
    def of(cls, projected: Float[Tensor, "n r"]) -> ThirdSums:
        """Sums of n observations in an orthonormal basis of whitened space."""
        triples = torch.einsum("na,nb,nc->abc", projected, projected, projected)
        return cls(len(projected), projected.sum(0).double(), triples.double())

    def __add__(self, other: ThirdSums) -> ThirdSums:
        """Sums over both sets of observations."""
        return ThirdSums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def moment(self) -> Float[Tensor, "r r r"]:
        """``E z z z`` without noise, which adds the mean once for each pair of like axes."""
        mean = self.vectors / self.count
        noise = torch.einsum("a,bc->abc", mean, torch.eye(len(mean)).to(mean))
        return self.triples / self.count - noise - noise.movedim(0, 1) - noise.movedim(0, 2)


def _rank(values: Float[Tensor, " r"], lost: float, floor: float) -> int:
    """Number of leading values above ``floor`` that leave out at most ``lost`` of the sum of squares; at least 1."""
    squares = values.square()
    tail = squares.flip(0).cumsum(0).flip(0)
    return max(1, int(((tail > lost * tail[0]) & (values > floor)).sum()))
