"""Large arrays of zeros, most of which may never be written to."""

from __future__ import annotations

import contextlib
import math
import mmap

import torch
from torch import Tensor

NO_HUGE_PAGES: int | None = getattr(mmap, "MADV_NOHUGEPAGE", None)
"""Advice to the system, which only Linux knows."""
PRIVATE_PAGES = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
"""Not shared with processes that are forked: reading what was never written takes no memory either."""
LARGE = 2**26
"""Bytes from which on small pages are worth their faults: memory of smaller arrays is used again."""


def zeros_torch(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros on the device and in the precision of ``like``."""
    return like.new_zeros(shape)


def zeros_mapped(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros in the precision of ``like``, which from `LARGE` on take no memory before they are written to.

    Those are pages that the system maps when they are first written to, small ones: a huge page (2 MB, which numpy asks
    for) holds more than a plane of a padded grid of 512, so that all of them would be written to, and filling them with
    zeros takes longer than the slices of a mini-batch do.
    """
    count = math.prod(shape)
    if count * like.element_size() < LARGE:
        return zeros_torch(shape, like)
    pages = mmap.mmap(-1, count * like.element_size(), **PRIVATE_PAGES)
    if NO_HUGE_PAGES is not None:
        # a system may be built without huge pages, and refuse the advice
        with contextlib.suppress(OSError):
            pages.madvise(NO_HUGE_PAGES)
    return torch.frombuffer(pages, dtype=like.dtype, count=count).view(shape)
