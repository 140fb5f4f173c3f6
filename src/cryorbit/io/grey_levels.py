"""How stored grey values become comparable ones: outliers and padding replaced, offset and gain of each taken out."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.io.edge_padding import is_padded, padded_pixels

FAR = 3.0
"""A pixel is an outlier this many times as far out as the farthest pixel of an ordinary image."""


@dataclass(frozen=True, slots=True)
class GreyLevels:
    """What is done to the pixels of N images; float32.

    A pixel x of an image becomes ``(x - offset) * gain``, an outlier or a pixel of padding
    ``(middle - offset) * gain``.

    Attributes
    ----------
    middle
        Median of the pixels.
    reach
        Distance from the median beyond which a pixel is an outlier; infinite where the image has none.
    local_reach
        Distance from the median of its four neighbours beyond which a pixel is an outlier that is further from the
        image's median than those of ordinary images, ``reach / FAR``: one that stands out alone, not with the particle.
    offset, gain
        0 and 1 where the grey values are kept.
    padding
        Pixels of padding at the first and last rows, the first and last columns; see `edge_padding`.
    spoilt
        Mask of the pixels of all images that a camera or a program spoilt, and that are replaced by the median; None
        for none.
    """

    middle: Float[Tensor, " n"]
    reach: Float[Tensor, " n"]
    local_reach: Float[Tensor, " n"]
    offset: Float[Tensor, " n"]
    gain: Float[Tensor, " n"]
    padding: Int[Tensor, "n 4"]
    spoilt: Bool[Tensor, "y x"] | None = None

    def __getitem__(self, index: Int[Tensor, " m"] | Bool[Tensor, " n"]) -> GreyLevels:
        """Levels of the images at ``index``."""
        of_images = (field.name for field in fields(self) if field.name != "spoilt")
        return GreyLevels(**{name: getattr(self, name)[index] for name in of_images}, spoilt=self.spoilt)

    @property
    def has_outliers(self) -> Bool[Tensor, " n"]:
        """Mask of the images in which pixels are replaced."""
        return self.reach < torch.inf

    @property
    def padded(self) -> Bool[Tensor, " n"]:
        """Mask of the images that have padding."""
        return is_padded(self.padding)

    @property
    def moved(self) -> Bool[Tensor, " n"]:
        """Mask of the images whose offset or gain is taken out."""
        return (self.offset != 0) | (self.gain != 1)

    def outliers(self, images: Float[Tensor, "n y x"]) -> Bool[Tensor, "n y x"]:
        """Mask of the outlying pixels of the N images."""
        middle, reach, local_reach = (_beside(each, images) for each in (self.middle, self.reach, self.local_reach))
        distance = (images - middle).abs()
        alone = from_neighbours(images).abs() > local_reach
        return (distance > reach) | (alone & (distance > reach / FAR))

    def apply(self, images: Float[Tensor, "n y x"]) -> Float[Tensor, "n y x"]:
        """The N images on comparable levels; one that needs nothing keeps every bit."""
        if self.spoilt is not None:
            images = torch.where(self.spoilt.to(images.device), _beside(self.middle, images), images)
        some = torch.nonzero(self.has_outliers)[:, 0]
        if len(some):
            theirs, chosen = self[some], images[some]
            repaired = torch.where(theirs.outliers(chosen), _beside(theirs.middle, chosen), chosen)
            images = images.index_copy(0, some.to(images.device), repaired)
        some = torch.nonzero(self.padded)[:, 0]
        if len(some):
            padding = padded_pixels(self.padding[some], images.shape[-1]).to(images.device)
            chosen = images[some.to(images.device)]
            filled = torch.where(padding, _beside(self.middle[some], chosen), chosen)
            images = images.index_copy(0, some.to(images.device), filled)
        if bool(self.moved.any()):
            images = (images - _beside(self.offset, images)) * _beside(self.gain, images)
        return images


def from_neighbours(images: Float[Tensor, "b y x"]) -> Float[Tensor, "b y x"]:
    """Pixels minus the median of their four neighbours, those of the other side where an image ends.

    The median of four is the mean of the middle two: the pixel beside an outlier is none for that.
    """
    box = images.shape[-1]
    flat = images.flatten(1)
    around = torch.cat([flat[:, -box:], flat, flat[:, :box]], dim=1)
    first, *others = (around[:, box + step : box + step + flat.shape[1]] for step in (-box, -1, 1, box))
    total, highest, lowest = first.clone(), first.clone(), first.clone()
    for each in others:
        total += each
        torch.maximum(highest, each, out=highest)
        torch.minimum(lowest, each, out=lowest)
    total -= highest
    total -= lowest
    return torch.sub(flat, total, alpha=0.5).view_as(images)


def _beside(values: Float[Tensor, " n"], images: Float[Tensor, "n y x"]) -> Float[Tensor, "n 1 1"]:
    return values.to(images.device)[:, None, None]
