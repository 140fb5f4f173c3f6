"""MoM-net: from the moments of images to volume, density and shifts (Paul 2024, chapter 3); and chapter 2's networks.

The encoder gives a density on the nodes of a quadrature, the coefficients of a volume in the spherical Bessel basis and
the spread of shifts; a FourierNet that begins as zero refines the volume (equation 3.11),

    V = V_Bessel[encoder(moments)] + FourierNet.

In the framework of chapter 2 the encoder gives the density alone, the FourierNet is the whole volume, and images are
centred. Moments of what comes out are compared with those that went in. Real coefficients of the volume are free; in
print, complex ones are counted without the conditions that make a volume real.

The FourierNet's values are multiplied by the root mean square of the images at each radius, which the moments tell, so
that it has values near 1 at all radii.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from cryorbit.moments.polar import PolarMoments
from cryorbit.studies.paul2024.mom_net.fourier_net import FourierNet
from cryorbit.studies.paul2024.mom_net.image_encoders import Encoded, ImageEncoder, Layout
from cryorbit.studies.paul2024.mom_net.polar_slices import PolarSlices
from cryorbit.volumes.spherical_bessel import SphericalBessel


@dataclass(frozen=True, slots=True)
class Setting:
    """What moments are formed of; made by ``of``.

    Attributes
    ----------
    slices
        Nodes and polar grid.
    basis
        Of the volume that the encoder gives; None in the framework of chapter 2.
    table
        Angular components of the basis functions' slices.
    pixel_radii
        Radii of the grid, radians a pixel.
    eta_most
        Largest spread of shifts, pixels; 0 where images are taken as centred.
    """

    slices: PolarSlices
    basis: SphericalBessel | None
    table: Float[Tensor, "c q w k"]
    pixel_radii: Float[Tensor, " k"]
    eta_most: float

    @classmethod
    def of(cls, slices: PolarSlices, basis: SphericalBessel | None, box: int, eta_most: float) -> Setting:
        """The setting for images of ``box`` pixels."""
        table = slices.points.new_zeros(0, *slices.points.shape[:1], 2 * slices.orders + 1, len(slices.radii))
        if basis is not None:
            functions = basis.functions(slices.points.flatten(0, 2)).unflatten(1, slices.points.shape[:3])
            odd = basis.odd(functions)[:, None, None, None]
            empty = torch.zeros_like(functions)
            table = slices.components(
                torch.complex(torch.where(odd, empty, functions), torch.where(odd, functions, empty))
            )
        return cls(slices, basis, table, slices.radii * (2 * torch.pi / box), eta_most)

    def layout(self) -> Layout:
        """Sizes of an encoder for this setting."""
        slices = self.slices
        return Layout(len(slices.radii), slices.orders, len(slices.directions), len(self.table))

    def weights(self, logits: Float[Tensor, "*b t"]) -> Float[Tensor, "*b t"]:
        """Density times weight at the nodes, of sum 1."""
        return (self.slices.log_weights + logits).softmax(-1)

    def eta(self, spread: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Spread of shifts, pixels."""
        return self.eta_most * spread.sigmoid()

    def bessel_components(self, encoded: Encoded) -> Float[Tensor, "b q w k"]:
        """Angular components of the slices of the encoder's volumes."""
        scaled = encoded.coefficients * encoded.scale[:, None]
        return torch.einsum("bc,cqwk->bqwk", scaled, self.table)

    def moments(self, components: Float[Tensor, "b q w k"], encoded: Encoded) -> PolarMoments:
        """Moments of slices under the encoder's densities and shifts."""
        unblurred = self.slices.moments(components, self.weights(encoded.logits))
        return unblurred.blurred(self.pixel_radii, self.eta(encoded.spread)) if self.eta_most else unblurred


class MomNet(nn.Module):
    """Encoder and refinement network; without a basis in the setting, the framework of chapter 2.

    Attributes
    ----------
    encoder
        From moments to density, Bessel coefficients and shifts.
    refinement
        The FourierNet.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.encoder = ImageEncoder(setting.layout())
        self.refinement = FourierNet(float(setting.slices.radii.max()))

    def forward(self, moments: PolarMoments) -> PolarMoments:
        """Moments of what the networks make of the moments of one data set, a batch of one."""
        encoded = self.encoder(moments)
        values = self.refinement(self.setting.slices.points) * root_power(moments)
        refined = self.setting.slices.components(values)
        return self.setting.moments(self.setting.bessel_components(encoded) + refined, encoded)

    def transform(self, moments: PolarMoments, frequencies: Float[Tensor, "p 3"]) -> Complex[Tensor, " p"]:
        """The volume's transform at frequencies, Fourier pixels."""
        lengths = frequencies.norm(dim=-1)
        power = _interpolate(root_power(moments), self.setting.slices.radii, lengths)
        values: Tensor = self.refinement(frequencies) * power
        if self.setting.basis is None:
            return values
        encoded = self.encoder(moments)
        coefficients = encoded.coefficients[0] * encoded.scale
        there, opposite = self.setting.basis.evaluate(coefficients, torch.cat([frequencies, -frequencies])).chunk(2)
        # the mean is Hermitian to the last digit, which harmonics at opposite points are not
        return values + 0.5 * (there + opposite.conj())


def make_mom_net(setting: Setting, seed: int) -> MomNet:
    """A network with weights drawn from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MomNet(setting)


def root_power(moments: PolarMoments) -> Float[Tensor, " k"]:
    """Root mean square of the images at each radius, of a batch of one; shifts leave it as it is."""
    return moments.cosines[0].diagonal(dim1=-2, dim2=-1).sum(0).clamp_min(0).sqrt()


def _interpolate(
    values: Float[Tensor, " k"], radii: Float[Tensor, " k"], lengths: Float[Tensor, " p"]
) -> Float[Tensor, " p"]:
    """Values between radii, linear; those of the first and last radius beyond."""
    right = torch.searchsorted(radii, lengths.contiguous()).clamp(1, len(radii) - 1)
    part = ((lengths - radii[right - 1]) / (radii[right] - radii[right - 1])).clamp(0, 1)
    return torch.lerp(values[right - 1], values[right], part)
