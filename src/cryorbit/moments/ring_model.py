"""Moments on rings of a volume in a ball, a density of view directions, and shifts: differentiable in all three."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.moments.bessel_model import BesselModel
from cryorbit.moments.ring_blur import ShiftBlur
from cryorbit.moments.ring_moments import RingMoments, weighted_moments
from cryorbit.moments.view_density import ViewDensity
from cryorbit.volumes.ball_bessel import BallBessel


@dataclass(frozen=True, slots=True)
class RingModel:
    """Moments as a function of volume, density and spread of shifts; made by ``of``.

    Attributes
    ----------
    slices
        Slices of volumes from the nodes of the density.
    blur
        What shifts do.
    orders
        Largest order of the moments that come out; inside, orders are those of the volume, as shifts mix them.
    """

    slices: BesselModel
    blur: ShiftBlur
    orders: int

    @classmethod
    def of(cls, basis: BallBessel, radii: Float[Tensor, " k"], box: int, density_degree: int, orders: int) -> RingModel:
        """The model on rings of these radii, Fourier pixels, of images of ``box`` pixels."""
        density = ViewDensity.of(density_degree, 3 * basis.degree + density_degree)
        blur = ShiftBlur.of(radii * (2 * math.pi / box), basis.degree)
        return cls(BesselModel.of(basis, density, radii), blur, orders)

    @property
    def basis(self) -> BallBessel:
        """Of the volume."""
        basis = self.slices.basis
        assert isinstance(basis, BallBessel)
        return basis

    @property
    def density(self) -> ViewDensity:
        """Family of densities."""
        return self.slices.density

    def waves(self, volume: Float[Tensor, " b"]) -> Complex[Tensor, "q n k"]:
        """Waves of the slices from every node."""
        components = self.slices.slices(volume)
        flat, cosines, sines = components[:, :1], components[:, 1::2], components[:, 2::2]
        # slices of real volumes are real in even orders and imaginary in odd ones
        even = torch.arange(1, self.basis.degree + 1, device=volume.device)[:, None] % 2 == 0
        real, imaginary = 0.5 * torch.where(even, cosines, sines), 0.5 * torch.where(even, -sines, cosines)
        return torch.cat([torch.complex(flat, torch.zeros_like(flat)), torch.complex(real, imaginary)], 1)

    def moments(self, volume: Float[Tensor, " b"], density: Float[Tensor, " h"], eta: Float[Tensor, ""]) -> RingMoments:
        """Moments of coefficients of the volume and of the log-density, and of shifts of deviation ``eta`` (pixels)."""
        centred = weighted_moments(self.waves(volume), self.density.weights(density))
        return self.blur.apply(centred, eta).within(self.orders, len(centred.first))
