"""Moments on rings of a volume in a ball, a density of view directions, and shifts: differentiable in all three."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.moments.bessel_model import BesselModel
from cryorbit.moments.ring_blur import ShiftBlur
from cryorbit.moments.ring_moments import RingMoments, weighted_moments
from cryorbit.moments.view_density import ViewDensity
from cryorbit.volumes.ball_bessel import BallBessel

SHIFTED = 2
"""Orders beyond the largest one compared that are computed: shifts of some pixels bring in hardly any from beyond."""
EXACT = 2
"""Degree to which the average over views is exact, over that of the volume: the highest degrees are weak."""


@dataclass(frozen=True, slots=True)
class RingModel:
    """Moments as a function of volume, density and spread of shifts; made by ``of``.

    Attributes
    ----------
    density
        Family of densities, on nodes that come in opposite pairs.
    slices
        Slices of volumes from one node of each pair; those from the other are their mirror images.
    pairs
        Numbers of both nodes of each pair.
    blur
        What shifts do.
    orders
        Largest order of the moments that come out; inside there are some more, as shifts mix them.
    """

    density: ViewDensity
    slices: BesselModel
    pairs: Int[Tensor, "2 h"]
    blur: ShiftBlur
    orders: int

    @classmethod
    def of(cls, basis: BallBessel, radii: Float[Tensor, " k"], box: int, density_degree: int, orders: int) -> RingModel:
        """The model on rings of these radii, Fourier pixels, of images of ``box`` pixels."""
        density = ViewDensity.of(density_degree, EXACT * basis.degree + density_degree)
        opposite = (density.directions @ density.directions.mT).argmin(1)
        first = torch.nonzero(torch.arange(len(opposite)) < opposite)[:, 0]
        seen = replace(
            density,
            directions=density.directions[first],
            log_weights=density.log_weights[first],
            harmonics=density.harmonics[first],
        )
        blur = ShiftBlur.of(radii * (2 * math.pi / box), min(orders + SHIFTED, basis.degree))
        pairs = torch.stack([first, opposite[first]])
        return cls(density, BesselModel.of(basis, seen, radii), pairs, blur, orders)

    @property
    def basis(self) -> BallBessel:
        """Of the volume."""
        basis = self.slices.basis
        assert isinstance(basis, BallBessel)
        return basis

    def waves(self, volume: Float[Tensor, " b"]) -> Complex[Tensor, "h n k"]:
        """Waves of the slices from one node of each pair, of the orders that shifts act on."""
        components = self.slices.slices(volume)
        flat, cosines, sines = components[:, :1], components[:, 1::2], components[:, 2::2]
        # slices of real volumes are real in even orders and imaginary in odd ones
        even = torch.arange(1, self.basis.degree + 1, device=volume.device)[:, None] % 2 == 0
        real, imaginary = 0.5 * torch.where(even, cosines, sines), 0.5 * torch.where(even, -sines, cosines)
        waves = torch.cat([torch.complex(flat, torch.zeros_like(flat)), torch.complex(real, imaginary)], 1)
        return waves[:, : self.blur.orders + 1]

    def centred(self, volume: Float[Tensor, " b"], density: Float[Tensor, " h"]) -> RingMoments:
        """Moments of images without shifts, of the orders that shifts act on."""
        weights, mirrored = self.density.weights(density)[self.pairs]
        return weighted_moments(self.waves(volume), weights, mirrored)

    def moments(self, volume: Float[Tensor, " b"], density: Float[Tensor, " h"], eta: Float[Tensor, ""]) -> RingMoments:
        """Moments of coefficients of the volume and of the log-density, and of shifts of deviation ``eta`` (pixels)."""
        centred = self.centred(volume, density)
        return self.blur.apply(centred, eta).within(self.orders, len(centred.first))
