"""The Fourier coefficients that describe a real image: half the plane, a disc, without the origin.

Coefficients are sorted by shell, so the half disc of a smaller radius is a prefix of the larger one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class HalfDisc:
    """Positions of the P coefficients with 0 < |k| <= radius in the half plane.

    Attributes
    ----------
    box
        Pixels along a side of the image.
    radius
        Largest |k|, Fourier pixels, below ``box / 2``.
    frequencies
        ``(kx, ky)`` in Fourier pixels; ``kx > 0``, or ``kx = 0`` and ``ky > 0``.
    shells
        Nearest integer to |k|.
    """

    box: int
    radius: float
    frequencies: Float[Tensor, "p 2"]
    shells: Int[Tensor, " p"]

    def __len__(self) -> int:
        """Number of coefficients."""
        return len(self.shells)

    def to(self, device: torch.device | str) -> HalfDisc:
        """The same half disc on ``device``."""
        return HalfDisc(self.box, self.radius, self.frequencies.to(device), self.shells.to(device))


def half_disc(box: int, radius: float) -> HalfDisc:
    """The half disc of ``radius`` Fourier pixels; the radius is cut at ``box / 2 - 1``."""
    radius = min(radius, box / 2 - 1)
    reach = int(radius)
    kx, ky = torch.meshgrid(torch.arange(reach + 1), torch.arange(-reach, reach + 1), indexing="ij")
    kx, ky = kx.flatten(), ky.flatten()
    norm = torch.sqrt((kx**2 + ky**2).double())
    keep = (norm <= radius) & ((kx > 0) | (ky > 0))
    kx, ky, norm = kx[keep], ky[keep], norm[keep]
    order = norm.argsort(stable=True)
    frequencies = torch.stack([kx, ky], -1)[order].float()
    return HalfDisc(box, radius, frequencies, norm[order].round().long())


def count_within(disc: HalfDisc, radius: float) -> int:
    """Number of leading coefficients with |k| <= radius."""
    return _count(disc.box, disc.radius, radius)


@cache
def _count(box: int, largest: float, radius: float) -> int:
    """That of the half disc of a largest radius; counted once, and not where the disc is, which would be waited for."""
    # a radius that is an integer but for rounding holds its shell
    return int((half_disc(box, largest).frequencies.norm(dim=-1) <= radius + 1e-6).sum())


def image_transform(images: Float[Tensor, "*b n n"], disc: HalfDisc) -> Complex[Tensor, "*b p"]:
    """Unitary transform of real images, about their centre pixel, at the coefficients of ``disc``."""
    box = images.shape[-1]
    kx, ky = disc.frequencies.long().unbind(-1)
    transform = torch.fft.rfft2(images, norm="ortho")
    # the centre pixel is box / 2 on both axes: moving it to the origin is a factor (-1)^(kx + ky)
    sign = 1.0 - 2.0 * ((kx + ky) % 2)
    return transform[..., ky % box, kx] * sign


def image_from_transform(values: Complex[Tensor, "*b p"], disc: HalfDisc) -> Float[Tensor, "*b n n"]:
    """Real images whose unitary transform has these coefficients and zeros elsewhere."""
    box = disc.box
    kx, ky = disc.frequencies.long().unbind(-1)
    sign = 1.0 - 2.0 * ((kx + ky) % 2)
    plane = values.new_zeros(*values.shape[:-1], box, box // 2 + 1)
    plane[..., ky % box, kx] = values * sign
    on_axis = kx == 0
    plane[..., (-ky[on_axis]) % box, 0] = (values * sign)[..., on_axis].conj()
    return torch.fft.irfft2(plane, s=(box, box), norm="ortho")
