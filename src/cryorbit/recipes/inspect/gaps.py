"""What is said of gaps in the CTF of a particle set."""

from __future__ import annotations

from collections.abc import Sequence

LISTED = 4
"""Gaps that are named one by one."""


def gap_warnings(gaps: Sequence[float]) -> list[str]:
    """A sentence on the resolutions, in A, that the particles' defoci leave unseen; none where there are none."""
    if not gaps:
        return []
    named = ", ".join(f"{gap:.1f}" for gap in gaps[:LISTED]) + (", ..." if len(gaps) > LISTED else "")
    return [
        f"The particles have nearly one defocus: the CTF leaves gaps at {named} A, where the map will be weak. "
        "Fix: add particles of other defoci."
    ]
