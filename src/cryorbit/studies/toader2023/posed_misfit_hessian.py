"""The Hessian of the misfit in known poses as a sparse matrix: made once, its products cost the same for any images.

A point of a slice couples the eight coefficients around it, so a row of the Hessian has at most 27 entries. The matrix
makes exact what is otherwise estimated: minimum, gap to it, eigenvalues.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import cg
from torch import Tensor

from cryorbit.studies.toader2023.interpolation_products import OFFSETS, insert_products
from cryorbit.studies.toader2023.posed_misfit import PosedMisfit
from cryorbit.volumes.fourier_ball import PAD, FourierBall

TOLERANCE = 1e-10
"""Residual of the minimum's equation, relative to its right-hand side."""


def assemble_hessian(problem: PosedMisfit) -> csr_array:
    """The Hessian, symmetric, float64."""
    ball, size = problem.ball, problem.ball.grid.size
    total = torch.zeros(len(OFFSETS), *ball.half_shape, dtype=torch.float64)
    for images, rotations in problem.chunks(None):
        weights = images.weight.double() / problem.num_terms
        total += insert_products(weights, rotations.double(), problem.disc.frequencies, size, PAD).cpu()
    matrix = coo_array((ball.dimension, ball.dimension))
    tie = _Tie.of(ball.to("cpu"))
    for offset, products in zip(OFFSETS, total, strict=True):
        matrix = matrix + _entries(tie, offset, products, ball.dimension)
    return csr_array(matrix + problem.regularisation * diags_array([1.0], shape=matrix.shape))


def find_minimum(problem: PosedMisfit, hessian: csr_array) -> Float[Tensor, " d"]:
    """Where the gradient vanishes, float64, by conjugate gradients divided by the Hessian's diagonal."""
    start = torch.zeros(problem.ball.dimension).to(problem.observations.power)
    descent = -problem.evaluate(start, None).field.double().cpu().numpy()
    inverse = diags_array([1 / hessian.diagonal()], offsets=[0])
    minimum, _ = cg(hessian, descent, rtol=TOLERANCE, maxiter=10_000, M=inverse)
    return torch.from_numpy(minimum)


def gap(hessian: csr_array, x: Float[Tensor, " d"], minimum: Float[Tensor, " d"]) -> float:
    """How far the sum at ``x`` is above its minimum, to full precision however small it is."""
    away = (x.double().cpu() - minimum).numpy()
    return 0.5 * float(away @ (hessian @ away))


@dataclass(frozen=True, slots=True)
class _Tie:
    """For each entry of the half transform: coefficient it belongs to (-1 if none), sign of its imaginary part."""

    coefficient: Int[Tensor, "m m h"]
    sign: Float[Tensor, "m m h"]

    @classmethod
    def of(cls, ball: FourierBall) -> _Tie:
        numbers, places = torch.arange(len(ball.positions)), math.prod(ball.half_shape) + 1
        coefficient, sign = torch.full((places,), -1), torch.ones(places, dtype=torch.float64)
        coefficient[ball.mates], sign[ball.mates] = numbers, -1.0
        coefficient[ball.positions], sign[ball.positions] = numbers, 1.0
        return cls(coefficient[:-1].view(ball.half_shape), sign[:-1].view(ball.half_shape))

    def moved(self, offset: tuple[int, ...]) -> _Tie:
        """The same for the entries one step away; the step in x leads out of the half transform at its end."""
        steps = tuple(-step for step in offset)
        rolled = _Tie(*(torch.roll(array, steps, (0, 1, 2)) for array in (self.coefficient, self.sign)))
        if offset[2]:
            rolled.coefficient[..., -1 if offset[2] > 0 else 0] = -1
        return rolled


def _entries(tie: _Tie, offset: tuple[int, ...], products: Float[Tensor, "m m h"], dimension: int) -> coo_array:
    """What the couplings of one step add to the matrix."""
    there = tie.moved(offset)
    kept: Bool[Tensor, "m m h"] = (products != 0) & (tie.coefficient >= 0) & (there.coefficient >= 0)
    row, column, value = tie.coefficient[kept], there.coefficient[kept], products[kept]
    # the origin is not scaled by the square root of one half
    value = value * torch.where(row > 0, math.sqrt(0.5), 1.0) * torch.where(column > 0, math.sqrt(0.5), 1.0)
    signed, both = value * tie.sign[kept] * there.sign[kept], (row > 0) & (column > 0)
    shift = (dimension - 1) // 2
    rows = torch.cat([row, row[both] + shift]).numpy()
    columns = torch.cat([column, column[both] + shift]).numpy()
    upper = coo_array((torch.cat([value, signed[both]]).numpy(), (rows, columns)), shape=(dimension, dimension))
    return upper if offset == (0, 0, 0) else upper + upper.T
