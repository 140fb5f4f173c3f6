"""How stored grey values become comparable ones: outlying pixels replaced, offset and gain of each image taken out."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class GreyLevels:
    """What is done to the pixels of N images; float32.

    A pixel x of an image becomes ``(x - offset) * gain``, or ``(middle - offset) * gain`` where x is further than
    ``reach`` from ``middle``.

    Attributes
    ----------
    middle
        Median of the pixels.
    reach
        Distance from the median beyond which a pixel is an outlier; infinite where the image has none.
    offset, gain
        0 and 1 where the grey values are kept.
    """

    middle: Float[Tensor, " n"]
    reach: Float[Tensor, " n"]
    offset: Float[Tensor, " n"]
    gain: Float[Tensor, " n"]

    def __getitem__(self, index: Int[Tensor, " m"] | Bool[Tensor, " n"]) -> GreyLevels:
        """Levels of the images at ``index``."""
        return GreyLevels(*(getattr(self, field.name)[index] for field in fields(self)))

    @property
    def outlying(self) -> Bool[Tensor, " n"]:
        """Mask of the images in which pixels are replaced."""
        return self.reach < torch.inf

    @property
    def moved(self) -> Bool[Tensor, " n"]:
        """Mask of the images whose offset or gain is taken out."""
        return (self.offset != 0) | (self.gain != 1)

    def apply(self, images: Float[Tensor, "n y x"]) -> Float[Tensor, "n y x"]:
        """The N images on comparable levels; one that needs nothing keeps every bit."""
        if bool(self.outlying.any()):
            middle, reach = (each.to(images.device)[:, None, None] for each in (self.middle, self.reach))
            images = torch.where((images - middle).abs() <= reach, images, middle)
        if bool(self.moved.any()):
            offset, gain = (each.to(images.device)[:, None, None] for each in (self.offset, self.gain))
            images = (images - offset) * gain
        return images
