"""Bounds of settings: beyond them a number is a slip of the pen, not a wish."""

from __future__ import annotations

MOST = 10**9
"""No count, factor or strength is larger."""
COARSEST_A = 10_000.0
"""No detail, particle or window is larger, A."""
MOST_THREADS = 10_000
LAST_SEED = 2**63 - 1
CS_IN_METRES = (0.0011, 0.005)
"""Spherical aberrations, in mm, that would be those of microscopes if they were in metres; programs are told 0,
0.001 or 0.01 mm of corrected ones."""
