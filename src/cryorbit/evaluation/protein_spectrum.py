"""The amplitudes that a protein has before any B-factor: not a straight line.

Between 10 and 4 A the packing of helices and sheets makes a dip at 7 A and a peak at 4.5 A. A line through amplitudes
that end in the dip is steep though nothing has faded: at 7 A by a B-factor of 150 to 300 A^2.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_FIRST, _SPACING = 0.10, 0.02  # 1/A
_LOG_AMPLITUDE = (
    *(0.000, -0.195, -0.311, -0.299, -0.215, -0.030, 0.032, 0.017),
    *(-0.039, -0.125, -0.203, -0.218, -0.235, -0.248, -0.200, -0.129),
)
"""Of protein kinase A (density of PDB entry 1ATP, 1 A a voxel), less a B-factor of 61 A^2: level from 10 to 4 A."""
DEPARTURE = 0.3
"""By how much the logarithm of one protein's amplitudes may depart from it across a range of frequencies: seen are 0.1
(ribosome, 10 to 7 A) to 0.35 (RNA polymerase of SARS-CoV-2, EMD-11007, 10 to 4 A)."""


def protein_log_amplitude(frequency: Float[Tensor, " s"]) -> Float[Tensor, " s"]:
    """Logarithm of a protein's amplitudes at frequencies in 1/A, 0 at 10 A; level outside of 10 to 2.5 A."""
    place = ((frequency - _FIRST) / _SPACING).clamp(0, len(_LOG_AMPLITUDE) - 1)
    low = place.long().clamp(max=len(_LOG_AMPLITUDE) - 2)
    table = torch.tensor(_LOG_AMPLITUDE, dtype=frequency.dtype)
    return torch.lerp(table[low], table[low + 1], place - low)
