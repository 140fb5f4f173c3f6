"""Moments of images whose in-plane angles are uniform, in polar coordinates: what is left of them, and nothing else.

Averaged over in-plane angles, the first moment depends on the frequency's radius k alone, and the second on two radii
and the angle between two frequencies:

    E V(k, phi) = first(k),
    E V(k, phi) conj V(k', phi') = sum_n cosines_n(k, k') cos n (phi - phi') + sines_n(k, k') sin n (phi - phi').

An image from the opposite side is the mirror image, which changes the sign of the sines and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.moments.pair import Moments
from cryorbit.volumes.spherical_bessel import SphericalBessel

LEAST_SINGULAR = 1e-3
"""Combinations of radial functions that are less than this part of the strongest on the pixels are left out."""


@dataclass(frozen=True, slots=True)
class PolarMoments:
    """Moments on K radii, with orders 0 ... L of the angle between two frequencies (see the module's docstring).

    Batch axes first.
    """

    first: Float[Tensor, "*b k"]
    cosines: Float[Tensor, "*b n k k"]
    sines: Float[Tensor, "*b n k k"]

    def map(self, function: Callable[[Tensor], Tensor]) -> PolarMoments:
        """The function's values for each of the three."""
        return PolarMoments(function(self.first), function(self.cosines), function(self.sines))

    def blurred(self, radii: Float[Tensor, " k"], eta: Float[Tensor, "*b"]) -> PolarMoments:
        """Moments under normal shifts of standard deviation ``eta`` (pixels) along each axis; radii in radians a pixel.

        The factor ``exp(-eta^2 |k - k'|^2 / 2)`` of the second moment mixes the orders, so it is taken on angles.
        """
        orders = self.cosines.shape[-3]
        angles = torch.arange(4 * orders, device=radii.device).to(radii) * (torch.pi / (2 * orders))
        squares = radii.square()
        apart = squares[:, None] + squares - 2 * radii[:, None] * radii * angles.cos()[:, None, None]
        half_square = 0.5 * eta[..., None] ** 2
        loss = torch.exp(-half_square[..., None, None] * apart)
        phases = torch.arange(orders, device=radii.device).to(radii)[:, None] * angles

        def blurred(parts: Float[Tensor, "*b n k k"], waves: Float[Tensor, "n a"]) -> Float[Tensor, "*b n k k"]:
            seen = torch.einsum("...nkl,na->...akl", parts, waves) * loss
            # over the mean square of a wave, which is a half but for order 0
            powers = waves.square().sum(1).clamp_min(1.0)
            return torch.einsum("...akl,na->...nkl", seen, waves) / powers[:, None, None]

        first = self.first * torch.exp(-half_square * squares)
        return PolarMoments(first, blurred(self.cosines, phases.cos()), blurred(self.sines, phases.sin()))


def component_moments(
    slices: Float[Tensor, "*b q w k"], weights: Float[Tensor, "*b q"], turned: Float[Tensor, "*b q"]
) -> PolarMoments:
    """Moments of slices given by their angular components: order 0, then cosine and sine of each order.

    Parameters
    ----------
    slices
        From the view directions of a quadrature.
    weights
        Of sum 1; where a slice stands for the opposite direction too, the sum of both weights.
    turned
        The same with the opposite direction's subtracted; ``weights`` where a slice stands for itself alone.
    """
    cosine, sine = slices[..., 1::2, :], slices[..., 2::2, :]
    weighted = weights[..., None, None] * slices
    flat = torch.einsum("...qk,...ql->...kl", weighted[..., 0, :], slices[..., 0, :])
    cosines = torch.einsum("...qnk,...qnl->...nkl", weighted[..., 1::2, :], cosine)
    cosines = cosines + torch.einsum("...qnk,...qnl->...nkl", weighted[..., 2::2, :], sine)
    mixed = 0.5 * torch.einsum("...qnk,...qnl->...nkl", turned[..., None, None] * sine, cosine)
    empty = torch.zeros_like(flat)[..., None, :, :]
    return PolarMoments(
        weighted[..., 0, :].sum(-2),
        torch.cat([flat[..., None, :, :], 0.5 * cosines], -3),
        torch.cat([empty, mixed - mixed.mT], -3),
    )


@dataclass(frozen=True, slots=True)
class PolarDesign:
    """How vectors of half-disc coefficients become functions of angle and radius; made by ``of``.

    Slices of a volume in a basis have, for each order n, a few radial functions that its degrees span. Vectors are
    fitted by these in least squares over the pixels, and the fit is evaluated on the radii. Even orders are in the real
    parts, odd ones in the imaginary parts.

    Attributes
    ----------
    analysis
        From vectors to coefficients, those of ``cos n phi`` and then of ``sin n phi`` for each order.
    synthesis
        From the coefficients of an order to the radii.
    """

    analysis: Float[Tensor, "r d"]
    synthesis: tuple[Float[Tensor, "k _s"], ...]

    @classmethod
    def of(cls, disc: HalfDisc, basis: SphericalBessel, radii: Float[Tensor, " k"]) -> PolarDesign:
        """The design for slices of volumes in a basis; radii in Fourier pixels."""
        frequencies = disc.frequencies.to(radii)
        distance, angle = frequencies.norm(dim=1), torch.atan2(frequencies[:, 1], frequencies[:, 0])
        on_pixels, on_radii = basis.radial(distance), basis.radial(radii)
        columns, synthesis = [], []
        for order in range(basis.degree + 1):
            degrees = range(order, basis.degree + 1, 2)
            left, values, right = torch.linalg.svd(
                torch.cat([on_pixels[each] for each in degrees]).mT, full_matrices=False
            )
            kept = values > LEAST_SINGULAR * values[0]
            synthesis.append((torch.cat([on_radii[each] for each in degrees]).mT @ right.mT / values)[:, kept])
            waves = [torch.cos(order * angle)] + ([torch.sin(order * angle)] if order else [])
            columns += [_in_part(left[:, kept] * wave[:, None], order) for wave in waves]
        return cls(torch.linalg.pinv(torch.cat(columns, 1)), tuple(synthesis))

    def average(self, moments: Moments) -> PolarMoments:
        """Polar moments of moments of vectors: the mean over all in-plane angles."""
        sizes = [each.shape[1] for order, each in enumerate(self.synthesis) for _ in range(2 if order else 1)]
        first = (self.analysis @ moments.first).split(sizes)[0]
        second = self.analysis @ moments.second @ self.analysis.mT
        blocks = [part.split(sizes, 1) for part in second.split(sizes)]
        cosines = [self.synthesis[0] @ blocks[0][0] @ self.synthesis[0].mT]
        sines = [torch.zeros_like(cosines[0])]
        for order, synthesis in enumerate(self.synthesis[1:], start=1):
            c, s = 2 * order - 1, 2 * order
            cosines.append(0.5 * synthesis @ (blocks[c][c] + blocks[s][s]) @ synthesis.mT)
            sines.append(0.5 * synthesis @ (blocks[s][c] - blocks[c][s]) @ synthesis.mT)
        return PolarMoments(self.synthesis[0] @ first, torch.stack(cosines), torch.stack(sines))


def _in_part(columns: Float[Tensor, "p s"], order: int) -> Float[Tensor, "d s"]:
    """Columns in the real parts of vectors for even orders, in the imaginary parts for odd ones."""
    empty = torch.zeros_like(columns)
    return torch.cat([columns, empty] if order % 2 == 0 else [empty, columns])
