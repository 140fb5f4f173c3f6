"""Images and maps on other pixels: band-limited interpolation, an axis at a time.

A signal of n pixels is the periodic band-limited function through them. Its values at another pitch, without what the
new pixels cannot hold, are those of its transform cropped or padded with zeros; but the ratio of the pixels may be any
number, and the box any box. The pixel ``n // 2`` is the centre and stays it; what lies outside the old box is 0.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def resampled(values: Float[Tensor, "..."], axes: int, size: int, step: float) -> Float[Tensor, "..."]:
    """Values on new pixels along the last ``axes`` axes.

    Parameters
    ----------
    values
        Images (``axes`` 2) or maps (3), batch axes first; grey values are kept, as those of a density.
    axes
        How many axes of pixels there are.
    size
        New pixels along each of them.
    step
        New pixel size over the old one.
    """
    for axis in range(values.dim() - axes, values.dim()):
        matrix = resampling_matrix(values.shape[axis], size, step).to(values)
        values = (values.movedim(axis, -1) @ matrix.mT).movedim(-1, axis)
    return values.contiguous()


def resampling_matrix(old: int, new: int, step: float) -> Float[Tensor, "{new} {old}"]:
    """The linear map from ``old`` pixels along an axis to ``new`` ones of ``step`` old ones, float64."""
    places = (torch.arange(new, dtype=torch.float64) - new // 2) * step
    offsets = places[:, None] - (torch.arange(old, dtype=torch.float64) - old // 2)
    # of the frequencies, in cycles per old box, those below both Nyquist frequencies
    highest = math.ceil(old / (2 * max(step, 1.0)) - 1e-9) - 1
    angle = 2 * math.pi * offsets / old
    turn = torch.sin(angle / 2)
    at_limit = turn.abs() < 1e-9
    kernel = torch.sin((highest + 0.5) * angle) / torch.where(at_limit, 1.0, turn)
    # where the offset is a whole number of boxes; for an even box the quotient's sign is that of the limit
    kernel = torch.where(at_limit, 2.0 * highest + 1, kernel)
    if step <= 1 and old % 2 == 0:
        # the coefficient at the old Nyquist frequency is half at each end of the spectrum
        kernel = kernel + torch.cos(math.pi * offsets)
    inside = (places >= -(old // 2) - 0.5) & (places <= old - old // 2 - 0.5)
    return torch.where(inside[:, None], kernel / old, 0.0)
