"""Images as waves around rings of frequencies: the coordinates in which a turn in the plane is a change of phase.

The transform of an image is, on the ring of radius k, a sum ``X(k, phi) = sum_n x_n(k) exp(i n phi)``. A turn by an
angle a multiplies ``x_n`` by ``exp(-i n a)``, so that averages over in-plane angles keep just those products whose
orders add up to zero. Images are real, so ``x_-n = (-1)^n conj x_n`` and orders n >= 0 say everything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex, Float, Int
from scipy.special import jv
from torch import Tensor

from cryorbit.core.data import CTFParams
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.masks import soft_ball
from cryorbit.imaging.particle_source import ParticleSource

MASK_EDGE = 6.0
"""Width of the soft edge of the disc that is looked at, pixels."""


@dataclass(frozen=True, slots=True)
class Rings:
    """How images become waves on rings; made by ``of``.

    Attributes
    ----------
    radii
        Of the K rings, Fourier pixels, float64.
    waves
        What images are multiplied with and summed: orders 0 ... L, rings, pixels ``[y, x]``.
    """

    radii: Float[Tensor, " k"]
    waves: Complex[Tensor, "n k y x"]

    @classmethod
    def of(cls, box: int, radii: Float[Tensor, " k"], orders: int, mask_radius: float) -> Rings:
        """The exact transform of images within a soft disc of ``mask_radius`` pixels, on rings."""
        axis = torch.arange(box, dtype=torch.float64) - box // 2
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        mask = soft_ball(box, mask_radius, MASK_EDGE, dimensions=2).double() / box
        distance, angle = torch.hypot(x, y), torch.atan2(y, x)
        phases = (2 * math.pi / box) * radii.double().cpu()[:, None, None] * distance
        rows = [
            mask * torch.from_numpy(jv(order, phases.numpy())) * (-1j) ** order * torch.exp(-1j * order * angle)
            for order in range(orders + 1)
        ]
        return cls(radii, torch.stack(rows).to(radii.device))

    @property
    def orders(self) -> int:
        """Largest order L."""
        return len(self.waves) - 1

    def analyse(self, images: Float[Tensor, "b y x"]) -> Complex[Tensor, "b n k"]:
        """Waves of images."""
        matrix = torch.cat([self.waves.real, self.waves.imag]).flatten(2).flatten(0, 1).to(images)
        real, imaginary = (images.flatten(1) @ matrix.mT).chunk(2, 1)
        return torch.complex(real, imaginary).unflatten(1, self.waves.shape[:2])

    def noise(self, variance: Float[Tensor, " s"]) -> Float[Tensor, "n k k"]:
        """Covariances ``E e_n(k) conj e_n(k')`` of noise with a variance for each shell of the image's transform."""
        box = self.waves.shape[-1]
        axis = torch.fft.fftfreq(box, d=1 / box, dtype=torch.float64, device=self.radii.device)
        shells = torch.hypot(axis[:, None], axis).round().long().clamp_max(len(variance) - 1)
        seen = torch.fft.fft2(self.waves, norm="ortho").flatten(2)
        return ((seen * variance.to(self.radii)[shells].flatten()) @ seen.mH).real


def ring_transfer(source: ParticleSource, index: Int[Tensor, " b"], radii: Float[Tensor, " k"]) -> Float[Tensor, "b k"]:
    """CTFs on the rings, with the mean defocus of both axes: astigmatism does not matter at low resolution."""
    ctf: CTFParams = source.ctf[index]
    defocus = 0.5 * (ctf.defocus_u + ctf.defocus_v)
    along_x = torch.stack([radii, torch.zeros_like(radii)], -1) / (source.box * source.pixel_size)
    return ctf_values(replace(ctf, defocus_u=defocus, defocus_v=defocus).to(source.device), along_x)
