"""How much of an unknown its moments determine: singular values of their derivative at a solution.

A combination of unknowns that moves the moments by less than their errors is left as the start had it, whatever the
fit. Ambiguities of the problem itself (rotations, shifts, a constant added to logits) are such combinations too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.moments.fit import Residuals


@dataclass(frozen=True, slots=True)
class Determinacy:
    """Singular values, largest first, one for each unknown."""

    values: Float[Tensor, " p"]

    def count(self, error: float) -> int:
        """Number of combinations that an error of the residuals of this norm leaves determined to within one scale."""
        return int((self.values > error).sum())


def determinacy(residuals: Residuals, solution: Float[Tensor, " p"], scales: Float[Tensor, " p"]) -> Determinacy:
    """Singular values at a solution.

    Parameters
    ----------
    residuals
        Of the fit, such as relative errors of moments.
    solution
        Where to look.
    scales
        Size of a change that matters in each unknown.
    """
    jacobian = torch.func.jacrev(residuals)(solution) * scales
    values = torch.linalg.svdvals(jacobian)
    missing = len(solution) - len(values)
    return Determinacy(torch.cat([values, values.new_zeros(max(0, missing))]))
