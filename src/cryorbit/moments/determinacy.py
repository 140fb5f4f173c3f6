"""How much of a volume its moments determine at the noise of their estimates: information at a solution.

In units in which every coefficient is standard normal before anything is seen, a combination of coefficients that the
data hold more than one unit of information on is known better from the moments than without them. Nuisances, the
density of views and the spread of shifts, are fitted along, so what they could explain counts for nothing. Errors of
moments are taken as independent, which they are not quite: the counts are upper limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.moments.fit import Residuals


@dataclass(frozen=True, slots=True)
class Determinacy:
    """How many combinations of coefficients are known better from the moments than without them.

    Attributes
    ----------
    coefficients
        All coefficients of the volume.
    all_moments
        Combinations that all moments determine.
    first_and_second
        Those that the first and the second moments determine by themselves.
    """

    coefficients: int
    all_moments: int
    first_and_second: int


def derivatives(residuals: Residuals, solution: Float[Tensor, " p"]) -> Float[Tensor, "m p"]:
    """Derivatives of the residuals at a solution, one unknown after the other: residuals are far more than unknowns."""
    pull = torch.func.vjp(residuals, solution)[1]
    # products of the transposed derivatives with a vector are linear in it, and their own derivatives are the columns
    push = torch.func.vjp(lambda weights: pull(weights)[0], torch.zeros_like(residuals(solution)))[1]
    return torch.stack([push(direction)[0] for direction in torch.eye(len(solution)).to(solution)], 1)


def count_determined(jacobian: Float[Tensor, "m p"], coefficients: int, nuisance_prior: float) -> int:
    """Number of combinations of the first unknowns on which residuals hold more than a unit of information.

    Parameters
    ----------
    jacobian
        Derivatives of residuals, in units of their errors, for unknowns in units of their expected sizes.
    coefficients
        Number of unknowns that are asked about; those after them are nuisances.
    nuisance_prior
        Information that there is on each nuisance beforehand.
    """
    information = jacobian.mT @ jacobian
    inner, cross = information[:coefficients, :coefficients], information[:coefficients, coefficients:]
    nuisances = information[coefficients:, coefficients:]
    nuisances = nuisances + nuisance_prior * torch.eye(len(nuisances)).to(nuisances)
    free = inner - cross @ torch.linalg.solve(nuisances, cross.mT)
    return int((torch.linalg.eigvalsh(free) > 1).sum())
