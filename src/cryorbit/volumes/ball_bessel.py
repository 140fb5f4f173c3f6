"""Volumes that fill a ball in space as sums of spherical harmonics times spherical Bessel functions.

    v(r u) = sum_lms a_lms f_ls(r) Y_lm(u),     f_ls(r) = sqrt(2) R^(-3/2) j_l(r_ls r / R) / |j_l+1(r_ls)|

for ``r < R``, zero beyond: `spherical_bessel` with the parts of space and frequency exchanged. The density vanishes at
the surface of the ball, as that of a particle in a large enough ball does, and its transform does not vanish anywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import spherical_jn
from torch import Tensor

from cryorbit.volumes.spherical_bessel import SphericalBessel, bessel_zeros, resolved_basis

OFF_ZERO = 1e-7
"""Added to frequencies, so that none falls on the frequency of a basis function, where its form is 0 / 0."""


@dataclass(frozen=True, slots=True)
class BallBessel(SphericalBessel):
    """A basis of volumes in a ball.

    Attributes
    ----------
    extent
        Radius of the ball in units of the box.
    """

    extent: float

    def radial(self, radii: Float[Tensor, " p"]) -> list[Float[Tensor, "_s p"]]:
        """The radial parts ``4 pi F_ls`` of the transforms of every degree, at frequencies in Fourier pixels.

        ``F_ls(k)``, the integral of ``f_ls(r) j_l(2 pi k r) r^2``, has a closed form. Functions are orthonormal in
        space, so their transforms are so over all frequencies; ``cutoff`` only says up to where a map is made of them.
        """
        zeros = bessel_zeros(self.degree, max(self.counts))
        waves = 2 * math.pi * radii.detach().cpu().double().numpy() + OFF_ZERO
        height = 4 * math.pi * math.sqrt(2 * self.extent)
        profiles = []
        for ell, count in enumerate(self.counts):
            zero = zeros[ell, :count, None]
            wave = zero / self.extent
            sign = np.sign(spherical_jn(ell + 1, zero))
            values = height * sign * wave * spherical_jn(ell, waves * self.extent) / (wave**2 - waves**2)
            profiles.append(torch.from_numpy(values).to(radii))
        return profiles

    def carry(self, coefficients: Float[Tensor, "*b d"], other: BallBessel) -> Float[Tensor, "*b e"]:
        """Coefficients in another basis of the same ball: zeros for functions that this one lacks."""
        parts = self.split(coefficients)
        carried = []
        for ell, count in enumerate(other.counts):
            rows = coefficients.new_zeros(*coefficients.shape[:-1], 2 * ell + 1, count)
            if ell < len(parts):
                common = min(count, self.counts[ell])
                rows[..., :common] = parts[ell][..., :common]
            carried.append(rows.flatten(-2))
        return torch.cat(carried, -1)


def ball_basis(cutoff: float, extent: float, degree: int | None = None) -> BallBessel:
    """The basis of all functions that vary no faster than the frequency ``cutoff`` (Fourier pixels).

    Parameters
    ----------
    cutoff
        Functions with ``r_ls < 2 pi cutoff x extent`` are in.
    extent
        Radius of the ball in units of the box.
    degree
        Largest degree; all that have a function, if it is None.

    Raises
    ------
    InputError
        Nothing is so slow.
    """
    basis = resolved_basis(cutoff, extent, degree)
    return BallBessel(basis.cutoff, basis.counts, extent)
