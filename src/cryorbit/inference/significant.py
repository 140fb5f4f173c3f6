"""Which poses of a block of scores matter: a list for peaked posteriors, quantiles for flat ones.

A posterior with more than ``FLAT_ENTRIES`` poses within ``KEEP_NATS`` of its best is thinned to ``THINNED_ENTRIES``
of them, drawn systematically: an estimate without bias, where an exact list would cost more than the scores did.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from cryorbit.kernels.significant import Entries, Limits
from cryorbit.kernels.table import SIGNIFICANT

KEEP_NATS = 10.0
"""Poses less likely than the best one by more than this, e^-10, are left out."""
FLAT_ENTRIES = 2048
THINNED_ENTRIES = 1024


def significant_entries(
    even: Float[Tensor, "b t g"],
    odd: Float[Tensor, "b t g"],
    of_shift: Float[Tensor, " t"],
    offset: Float[Tensor, "b 2 g"],
    best_before: Float[Tensor, " b"],
) -> Entries:
    """Entries of ``even +- odd + of_shift + offset`` within ``KEEP_NATS`` of their image's best, here or before."""
    limits = Limits(KEEP_NATS, FLAT_ENTRIES, THINNED_ENTRIES)
    return SIGNIFICANT.choose(even)(even, odd, of_shift, offset, best_before, limits)
