"""What is believed of density before any image: positive values are rare, negative ones rarer.

As in Punjani & Brubaker (2014), every voxel by itself has ``p(v) ~ exp(-lambda_+ v)`` for ``v >= 0`` and ``p(v) ~
exp(-lambda_- |v|^3)`` for ``v < 0``: an exponential density that favours empty space, and a generalised normal
density that is soft on small negative values.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class DensityPrior:
    """Strengths of the prior, for voxels of the full box in units in which images have noise of variance 1.

    Attributes
    ----------
    positive
        ``lambda_+``.
    negative
        ``lambda_-``.
    """

    positive: float = 1e-4
    negative: float = 1e-4

    def energy(self, volume: Float[Tensor, "*k n n n"]) -> Float[Tensor, ""]:
        """``-log p`` up to a constant: the sum over voxels."""
        return (self.positive * volume.clamp_min(0) + self.negative * (-volume).clamp_min(0) ** 3).sum()

    def gradient(self, volume: Float[Tensor, "*k n n n"]) -> Float[Tensor, "*k n n n"]:
        """Derivative of the energy; at zero density that from above."""
        return self.positive * (volume >= 0).to(volume) - 3 * self.negative * volume.clamp_max(0) ** 2

    def curvature(self, volume: Float[Tensor, "*k n n n"]) -> Float[Tensor, "*k n n n"]:
        """Diagonal of the Hessian, which has nothing else."""
        return -6 * self.negative * volume.clamp_max(0)
