"""The grey scale of a map that explains a part of what images show above their noise."""

from __future__ import annotations

import math

from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.core.conventions import HERMITIAN_WEIGHT
from cryorbit.imaging.observations import Observations

LEAST_EXCESS = 0.02
"""Power above the noise that images are taken to have at least, in the units of ``Observations.power``."""


def explained_scale(observations: Observations, slices: Complex[Tensor, "g p"], part: float = 1.0) -> float:
    """Factor on a map, of which these are some slices, that makes it explain ``part`` of the images' excess power.

    Noise alone has the power `HERMITIAN_WEIGHT` in every coefficient of a whitened image.
    """
    excess = max(float((observations.power - HERMITIAN_WEIGHT).mean()), LEAST_EXCESS)
    power: Float[Tensor, " p"] = slices.abs().square().mean(0)
    return math.sqrt(part * excess / float((observations.weight.mean(0) * power).mean()))
