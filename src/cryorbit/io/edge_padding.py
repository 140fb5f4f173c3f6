"""Padding: the strips that fill a box where it reaches beyond its micrograph.

Programs fill them with 0, with a mean, or with copies of the outermost row. A strip holds no noise along its edge, or
none across it. What lies between strips, which may be on opposite sides where a box is as wide as the micrograph or was
enlarged, has noise in a corner: where none of its corners has, the image was masked.
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
CORNER = 2
"""Side of a corner, pixels: the circle of a mask, of seven pixels or more, leaves as much of its square free."""
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
    sides = torch.where(sides >= LEAST, sides, 0)
    depths[suspects] = torch.where(_has_noisy_corner(chosen, sides)[:, None], sides, 0)
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

    They are for measuring: statistics of any ring around the centre are as they would be without padding. Where that
    lies in padding, too, the image is mirrored at its edge.
    """
    some = torch.nonzero(is_padded(depths))[:, 0]
    if not len(some):
        return images
    chosen = images[some]
    padded = padded_pixels(depths[some], images.shape[-1])
    across = torch.where(padded.flip(1, 2), _mirrored(chosen, depths[some]), chosen.flip(1, 2))
    filled = torch.where(padded, across, chosen)
    return images.index_copy(0, some, filled)


def _may_be_padded(images: Float[Tensor, "b y x"]) -> Bool[Tensor, " b"]:
    """Mask of the images with a side whose outer rows are without noise: a quick look, as few have one."""
    edges = torch.stack([_noise(_from_side(images, side)[:, :3]).amin(1) for side in range(SIDES)], 1)
    return (edges <= 2 * NO_NOISE * _ordinary(images)[:, None]).any(1)


def _mirrored(images: Float[Tensor, "b y x"], depths: Int[Tensor, "b 4"]) -> Float[Tensor, "b y x"]:
    """The images continued beyond what padding leaves of them, mirrored at its edges again and again."""
    box = images.shape[-1]
    first, left = depths[:, 0::2], (box - depths[:, 0::2] - depths[:, 1::2]).clamp_min(1)
    beyond = (torch.arange(box) - first[..., None]) % (2 * left[..., None])
    rows, columns = (first[..., None] + torch.minimum(beyond, 2 * left[..., None] - 1 - beyond)).unbind(1)
    return images[torch.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]


def _has_noisy_corner(images: Float[Tensor, "b y x"], depths: Int[Tensor, "b 4"]) -> Bool[Tensor, " b"]:
    """Mask of the images of which a corner holds noise, within the padding if there is some."""
    box = images.shape[-1]
    start = torch.stack([depths[:, 0::2], box - depths[:, 1::2] - CORNER], 1).clamp(0, box - CORNER)
    number, within = torch.arange(len(images))[:, None, None], torch.arange(CORNER)
    corners = torch.stack(
        [
            images[number, (start[:, y, 0, None] + within)[:, :, None], (start[:, x, 1, None] + within)[:, None, :]]
            for y in range(2)
            for x in range(2)
        ],
        1,
    )
    noise = (corners[..., 1:] - corners[..., :-1]).square().mean((2, 3)).sqrt()
    return (noise > NO_NOISE * _ordinary(images)[:, None]).any(1)


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
