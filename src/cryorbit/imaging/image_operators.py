"""What is done to images between their files and inference: a list of operators, applied in order.

``io.grey_levels.GreyLevels`` is one, which repairs and normalises; ``imaging.magnification.Magnification`` another,
which undoes the stretch of a microscope, so that all that comes after sees images without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor


class ImageOperator(Protocol):
    """What is done to each of N images; it may differ from image to image."""

    def __getitem__(self, index: Int[Tensor, " m"], /) -> ImageOperator:
        """The operator on the images at ``index`` alone."""
        ...

    def apply(self, images: Float[Tensor, "n y x"], /) -> Float[Tensor, "n y x"]:
        """New images, on their device; what is stored is not changed."""
        ...


@dataclass(frozen=True, slots=True)
class Inversion:
    """White protein in place of dark: images times -1."""

    def __getitem__(self, index: Int[Tensor, " m"], /) -> Inversion:
        """The same for any images."""
        return self

    def apply(self, images: Float[Tensor, "n y x"], /) -> Float[Tensor, "n y x"]:
        """The images times -1."""
        return -images
