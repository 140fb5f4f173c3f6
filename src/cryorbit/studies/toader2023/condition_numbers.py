"""How well conditioned a quadratic problem is: extreme eigenvalues, spectrum, bounds, errors of an estimated diagonal.

Matrices are sparse and symmetric with positive eigenvalues. Divided by a diagonal D a matrix H has the eigenvalues of
``D^-1/2 H D^-1/2``: those with which a preconditioned gradient sees it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import LinearOperator, cg, eigsh
from torch import Tensor

SOLVE_TOLERANCE = 1e-6
EIGEN_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Extremes:
    """Least and largest eigenvalue."""

    least: float
    largest: float

    @property
    def condition(self) -> float:
        """Their ratio, the condition number."""
        return self.largest / self.least


def divided(matrix: csr_array, diagonal: Float[Tensor, " d"]) -> csr_array:
    """``D^-1/2 H D^-1/2`` for a positive diagonal D."""
    scale = diags_array([1 / np.sqrt(diagonal.double().cpu().numpy())], offsets=[0])
    return csr_array(scale @ matrix @ scale)


def extreme_eigenvalues(matrix: csr_array) -> Extremes:
    """Least and largest eigenvalue by the method of Lanczos, to a part in a thousand.

    The least one is the largest of the inverse, whose products are solved for by conjugate gradients: Lanczos on the
    matrix itself does not reach an eigenvalue that is tiny beside the largest.
    """
    # the same start vector always: the default one is random
    start = np.random.default_rng(0).standard_normal(matrix.shape[0])
    options = {"k": 1, "which": "LA", "v0": start, "tol": EIGEN_TOLERANCE, "return_eigenvectors": False}
    jacobi = diags_array([1 / matrix.diagonal()], offsets=[0])

    def solve(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        return cg(matrix, vector, rtol=SOLVE_TOLERANCE, maxiter=100_000, M=jacobi)[0]

    inverse = LinearOperator(matrix.shape, matvec=solve, dtype=np.float64)
    return Extremes(1 / eigsh(inverse, **options).item(), eigsh(matrix, **options).item())


def slicing_bound(radius: float, regularisation: float) -> float:
    """Least condition number of slicing without CTF or interpolation: ``(1 + lambda) / (p + lambda)``.

    Every slice meets the origin, and of all points in the ball of ``radius`` Fourier pixels the part p that is in a
    disc, about ``3 / (4 radius)``; so some point is met by at most that part of the slices.
    """
    axis = torch.arange(-int(radius), int(radius) + 1, dtype=torch.float64) ** 2
    in_disc = (axis[:, None] + axis <= radius**2).sum()
    in_ball = (axis[:, None, None] + axis[:, None] + axis <= radius**2).sum()
    return (1 + regularisation) / (float(in_disc / in_ball) + regularisation)


def diagonal_bound(diagonal: Float[Tensor, " d"]) -> float:
    """Ratio of the extreme diagonal entries: no condition number of a matrix with that diagonal is smaller."""
    return float(diagonal.max() / diagonal.min())


@dataclass(frozen=True, slots=True)
class SpectralDensity:
    """A quadrature of the distribution of eigenvalues: nodes, and weights that sum to one."""

    nodes: Float[Tensor, " q"]
    weights: Float[Tensor, " q"]


def spectral_density(matrix: csr_array, steps: int, generator: torch.Generator) -> SpectralDensity:
    """Distribution of eigenvalues from ``steps`` steps of Lanczos from a random vector (Ubaru, Chen & Saad 2017)."""
    size = matrix.shape[0]
    vector = torch.randn(size, generator=generator, dtype=torch.float64).numpy()
    basis = np.empty((min(steps, size), size))
    diagonal, beside = np.empty(len(basis)), np.empty(len(basis))
    vector /= np.linalg.norm(vector)
    for step in range(len(basis)):
        basis[step] = vector
        image = matrix @ vector
        diagonal[step] = vector @ image
        # orthogonal to all before: in floating point the recurrence of three terms loses that
        for _ in range(2):
            image -= basis[: step + 1].T @ (basis[: step + 1] @ image)
        beside[step] = np.linalg.norm(image)
        vector = image / max(beside[step], np.finfo(float).tiny)
    nodes, vectors = eigh_tridiagonal(diagonal, beside[:-1])
    return SpectralDensity(torch.from_numpy(nodes), torch.from_numpy(vectors[0] ** 2))


@dataclass(frozen=True, slots=True)
class ProbeErrors:
    """Errors of a diagonal estimated by random signs, relative to the diagonal's norm.

    Attributes
    ----------
    probes
        Numbers of probes.
    measured
        What came out.
    expected
        Root of the expected squared error: a probe has in each entry the variance ``sum over j != i of H_ij^2``.
    """

    probes: Int[Tensor, " m"]
    measured: Float[Tensor, " m"]
    expected: Float[Tensor, " m"]


def probe_errors(matrix: csr_array, counts: Sequence[int], generator: torch.Generator) -> ProbeErrors:
    """Errors of Hutchinson's estimate ``mean of z * (H z)`` after each of the increasing numbers of probes."""
    exact = matrix.diagonal()
    norm = float(np.linalg.norm(exact))
    total, measured = np.zeros_like(exact), []
    for probe in range(1, counts[-1] + 1):
        signs = 2.0 * torch.randint(2, exact.shape, generator=generator).double().numpy() - 1.0
        total += signs * (matrix @ signs)
        if probe in counts:
            measured.append(float(np.linalg.norm(total / probe - exact) / norm))
    one = math.sqrt(max(float((matrix.data**2).sum() - norm**2), 0.0)) / norm
    expected = one / torch.tensor(counts, dtype=torch.float64).sqrt()
    return ProbeErrors(torch.tensor(counts), torch.tensor(measured, dtype=torch.float64), expected)


def shell_quantiles(
    values: Float[Tensor, " d"], shells: Int[Tensor, " d"], levels: Sequence[float]
) -> Float[Tensor, "q s"]:
    """Quantiles of ``values`` in each shell from 0 to the last."""
    wanted = torch.tensor(levels, dtype=torch.float64)
    parts = [values[shells == shell].double().cpu() for shell in range(int(shells.max()) + 1)]
    return torch.stack([torch.quantile(part, wanted) for part in parts], 1)
