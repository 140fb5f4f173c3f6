"""Splitting work so that its temporaries fit a memory budget."""

from __future__ import annotations

from collections.abc import Iterator


def chunk_size(bytes_per_item: int, budget_bytes: int, at_most: int) -> int:
    """Number of items (at least one, at most ``at_most``) whose temporaries fit in ``budget_bytes``."""
    return max(1, min(at_most, budget_bytes // max(1, bytes_per_item)))


def chunks(total: int, size: int) -> Iterator[slice]:
    """Consecutive slices of length ``size`` (the last may be shorter) that cover ``range(total)``."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))
