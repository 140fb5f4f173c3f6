"""Transforms of images in half precision: 4 bytes a coefficient, and one power of two for each image.

No coefficient of the unitary transform of an image of N x N pixels is larger than N times its largest pixel. Divided by
a power of two just above that, nothing overflows, and all but the tiniest coefficients keep 11 significant bits: far
more than the noise of an image needs. The power depends on the pixels alone, so a coefficient is rounded the same way
whatever else of the image is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Complex, Float, Float16, Int
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc, image_transform

TOP = 15
"""Parts are stored up to 2^15, within the largest number of half precision, 65504."""
LOWEST_EXPONENT = -110
"""Of images that are as good as zero: their scale would overflow in single precision."""


@dataclass(frozen=True, slots=True)
class HalfTransforms:
    """Transforms of B images on P coefficients of a half disc.

    A part x of a coefficient is off by at most ``2^-11 |x|``, or by ``2^(exponent - 40)`` where that is more.

    Attributes
    ----------
    parts
        Real and imaginary parts over ``2^(exponent - TOP)``.
    exponent
        Of the power of two above the limit of the moduli of each image.
    """

    parts: Float16[Tensor, "b p 2"]
    exponent: Int[Tensor, " b"]

    @classmethod
    def of(cls, images: Float[Tensor, "b n n"], disc: HalfDisc) -> Self:
        """The transforms of images, as `fourier.half_disc.image_transform` has them, on ``disc``."""
        limit = disc.box * torch.maximum(images.amax((1, 2)), -images.amin((1, 2)))
        exponent = torch.frexp(limit).exponent.clamp_min(LOWEST_EXPONENT)
        parts = torch.view_as_real(image_transform(images, disc))
        return cls(torch.ldexp(parts, TOP - exponent[:, None, None]).half(), exponent)

    def to(self, device: torch.device | str) -> HalfTransforms:
        """The same on ``device``."""
        return HalfTransforms(self.parts.to(device), self.exponent.to(device))

    def single(self) -> Complex[Tensor, "b p"]:
        """The transforms in single precision."""
        return torch.view_as_complex(torch.ldexp(self.parts.float(), self.exponent[:, None, None] - TOP))
