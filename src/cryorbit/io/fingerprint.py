"""A few numbers by which copies of an image find each other, whatever grey scale they were stored on.

Each is the sum of the pixels weighted by a random pattern of mean 0 that is the same for all images, over the standard
deviation of the pixels. An offset and a scale drop out, a turned contrast turns all signs, and storage in 16 or 8 bits
moves each by far less than images with noise of their own differ: by about 1.
"""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

PATTERNS = 8
"""Sums an image is known by: among a million images with noise of their own hardly two are alike in all of them."""
SEED = 0


def fingerprints(images: Float[Tensor, "b y x"], spread: Float[Tensor, " b"]) -> Float[Tensor, "b k"]:
    """The fingerprints of B images, float64; 0 where an image is constant.

    Parameters
    ----------
    images
        Pixels.
    spread
        Standard deviations of their pixels.
    """
    rows, columns = _patterns(images.shape[-1])
    sums = ((rows @ images) * columns).sum(2).double()
    return torch.where(spread[:, None] > 0, sums / spread[:, None], 0.0)


@cache
def _patterns(box: int) -> tuple[Float[Tensor, "k y"], Float[Tensor, "k x"]]:
    """Factors of the patterns along rows and columns; their products have mean 0 and norm 1."""
    generator = torch.Generator().manual_seed(SEED)
    factors = torch.randn(2, PATTERNS, box, generator=generator, dtype=torch.float64)
    factors -= factors.mean(2, keepdim=True)
    rows, columns = (factors / factors.norm(dim=2, keepdim=True)).float()
    return rows, columns
