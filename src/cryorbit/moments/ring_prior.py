"""How large the coefficients of a volume are expected to be: from the power of the images on rings.

Power falls by orders of magnitude from ring to ring, and with it the coefficients of fine functions. In units of their
expected sizes all of them are alike, which is what a minimiser and a random start need, and those that the rings do not
determine stay as small as the power says, instead of being free.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.moments.ring_sums import RingEstimate
from cryorbit.volumes.ball_bessel import BallBessel
from cryorbit.volumes.spherical_bessel import bessel_zeros


def ring_power(estimate: RingEstimate) -> Float[Tensor, " k"]:
    """Mean squared magnitude of slices on the rings, at least its error; shifts leave it as it is."""
    copies = torch.full((len(estimate.products.second), 1), 2.0, dtype=torch.float64)
    copies[0] = 1.0
    power = (copies * estimate.products.second.real.diagonal(dim1=1, dim2=2)).sum(0)
    error = (copies * estimate.errors.second.diagonal(dim1=1, dim2=2)).square().sum(0).sqrt()
    return torch.maximum(power, error) / estimate.weights.second.diagonal()


def coefficient_sizes(basis: BallBessel, radii: Float[Tensor, " k"], power: Float[Tensor, " k"]) -> Float[Tensor, " b"]:
    """Root mean square coefficients of volumes whose slices have this power on rings of these radii.

    The squares of all functions of the ball at a frequency add up to its volume, so a coefficient's square is the power
    at the frequency of its function over that volume. Beyond the last ring power falls on as it does before.
    """
    known, logarithms = radii.numpy(), power.log().numpy()
    fall = min(0.0, (logarithms[-1] - logarithms[-3]) / (known[-1] - known[-3]))
    zeros = bessel_zeros(basis.degree, max(basis.counts))
    sizes = []
    for degree, count in enumerate(basis.counts):
        frequencies = zeros[degree, :count] / (2 * math.pi * basis.extent)
        beyond = np.maximum(frequencies - known[-1], 0.0)
        squares = np.exp(np.interp(frequencies, known, logarithms) + fall * beyond)
        sizes.append(np.tile(np.sqrt(squares), 2 * degree + 1))
    volume = 4 / 3 * math.pi * basis.extent**3
    return torch.from_numpy(np.concatenate(sizes) / math.sqrt(volume)).to(power)
