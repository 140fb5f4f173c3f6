"""Unsigned numbers in a file whose mode says that they are signed: the larger half of them comes out negative.

Their values then stand at both ends of the range, with a gap in the middle, where those of an image have their most.
Numbers that stay in one half are read rightly, or all less by one constant, which normalisation takes out.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Num

MOST_BETWEEN, LEAST_AT_AN_END = 0.25, 1e-3
"""Part of the pixels in the middle half of the range at most, and in each quarter beside it at least. Of numbers that
were stretched over the whole range, half and more stand in the middle if they are signed, a tenth if they are not."""


def are_wrapped(values: Num[np.ndarray, "*n"], item_bytes: int) -> bool:
    """Whether whole numbers of so many bytes, read as signed, were unsigned ones on both sides of half their range."""
    quarter = 2 ** (8 * item_bytes - 2)
    below, above = float((values < -quarter).mean()), float((values >= quarter).mean())
    return min(below, above) > LEAST_AT_AN_END and 1 - below - above < MOST_BETWEEN
