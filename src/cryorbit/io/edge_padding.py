"""Padding: the strips that fill a box where it reaches beyond its micrograph.

Programs fill them with 0, with a mean, or with copies of the outermost row. A strip holds no noise along its edge, or
none across it. A box is narrower than a micrograph, so of two opposite sides one is padded at most, and a corner at
least is not: where all are without noise, the image was masked.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

NO_NOISE = 0.05
"""Part of the ordinary difference between neighbouring pixels that is left in padding; filters leave some."""
SUDDEN = 0.3
"""Part of the ordinary difference that the second row beyond padding has at least."""
LEAST = 2
"""Pixels of padding, at least: a mask of the width of the box reaches one side of an even box, and not the other."""
CORNER = 0.1
"""Side of a corner, boxes."""
SIDES = 4
"""Sides of an image: the first and the last rows, the first and the last columns."""


def padding_depths(images: Float[Tensor, "b y x"]) -> Int[Tensor, "b 4"]:
    """Pixels of padding along the first rows, last rows, first columns and last columns of each image; mostly 0."""
    depths = torch.zeros(len(images), SIDES, dtype=torch.int64)
    suspects = torch.nonzero(_may_be_padded(images))[:, 0]
    if not len(suspects):
        return depths
    chosen = images[suspects]
    sides = torch.stack([_depth(_from_side(chosen, side)) for side in range(SIDES)], 1)
    opposite = sides[:, [1, 0, 3, 2]]
    padded = (sides >= LEAST) & (opposite == 0) & _has_noisy_corner(chosen)[:, None]
    depths[suspects] = torch.where(padded, sides, 0)
    return depths


def is_padded(depths: Int[Tensor, "b 4"]) -> Bool[Tensor, " b"]:
    """Mask of the images that have padding."""
    return (depths > 0).any(1)


def padded_pixels(depths: Int[Tensor, "b 4"], box: int) -> Bool[Tensor, "b y x"]:
    """Mask of the pixels that are padding."""
    place = torch.arange(box, device=depths.device)
    first, last = place < depths[:, 0::2, None], place >= box - depths[:, 1::2, None]
    rows, columns = (first | last).unbind(1)
    return rows[:, :, None] | columns[:, None, :]


def without_padding(images: Float[Tensor, "b y x"], depths: Int[Tensor, "b 4"]) -> Float[Tensor, "b y x"]:
    """The images with pixels from across the centre in place of padding: as far from it, and with noise of their own.

    They are for measuring: statistics of any ring around the centre are as they would be without padding.
    """
    some = torch.nonzero(is_padded(depths))[:, 0]
    if not len(some):
        return images
    chosen = images[some]
    filled = torch.where(padded_pixels(depths[some], images.shape[-1]), chosen.flip(1, 2), chosen)
    return images.index_copy(0, some, filled)


def _may_be_padded(images: Float[Tensor, "b y x"]) -> Bool[Tensor, " b"]:
    """Mask of the images with a side whose outer rows are without noise: a quick look, as few have one."""
    edges = torch.stack([_noise(_from_side(images, side)[:, :3]).amin(1) for side in range(SIDES)], 1)
    return (edges <= 2 * NO_NOISE * _ordinary(images)[:, None]).any(1)


def _has_noisy_corner(images: Float[Tensor, "b y x"]) -> Bool[Tensor, " b"]:
    """Mask of the images of which a corner holds noise."""
    side = max(2, round(CORNER * images.shape[-1]))
    corners = torch.stack([images[:, rows, columns] for rows in _ends(side) for columns in _ends(side)], 1)
    noise = (corners[..., 1:] - corners[..., :-1]).square().mean((2, 3)).sqrt()
    return (noise > NO_NOISE * _ordinary(images)[:, None]).any(1)


def _ends(side: int) -> tuple[slice, slice]:
    return slice(None, side), slice(-side, None)


def _ordinary(images: Float[Tensor, "b y x"]) -> Float[Tensor, " b"]:
    """Difference between neighbouring pixels, root mean square over every fourth row."""
    return (images[:, ::4, 1:] - images[:, ::4, :-1]).square().mean((1, 2)).sqrt()


def _from_side(images: Float[Tensor, "b y x"], side: int) -> Float[Tensor, "b rows columns"]:
    """The images turned so that the rows from a side inwards come first."""
    turned = images if side < 2 else images.mT
    return turned.flip(1) if side % 2 else turned


def _noise(images: Float[Tensor, "b y x"]) -> Float[Tensor, "b y-1"]:
    """Differences of each row but the last, root mean square: along it or to the next row, whichever is less."""
    along = (images[:, :-1, 1:] - images[:, :-1, :-1]).square().mean(2)
    across = (images[:, 1:] - images[:, :-1]).square().mean(2)
    return torch.minimum(along, across).sqrt()


def _depth(images: Float[Tensor, "b y x"]) -> Int[Tensor, " b"]:
    """Rows without noise before the first one with some; none where it sets in by and by, as that of a signal does."""
    noise = _noise(images)
    ordinary = noise.median(1, keepdim=True).values
    silent = noise <= NO_NOISE * ordinary
    # a filter lets the other side of the image into the outermost row
    silent[:, 0] |= silent[:, 1]
    depth = silent.long().cumprod(1).sum(1)
    beyond = noise.gather(1, (depth + 1).clamp(max=noise.shape[1] - 1)[:, None])
    return torch.where((beyond > SUDDEN * ordinary)[:, 0], depth, 0)
