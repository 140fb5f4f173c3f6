"""What images say against what is assumed of them, in words: the same sentences for jobs and inspections.

The table says whether images were multiplied with their CTF; if the images say otherwise, no map can come right, and a
job refuses. All else is said, and left to the user.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.core.verdict import sentence_of
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.ctf_multiplication import judge_multiplication
from cryorbit.inference.noise import vanishing_shell
from cryorbit.io.ctf_doubts import ctf_doubts
from cryorbit.io.filaments import segment_label
from cryorbit.io.grey_levels import GreyLevels
from cryorbit.io.particles import Particles
from cryorbit.io.tilt_series import tilts

LOOKED_AT = 300
"""Images that are looked at: their noise is all alike."""
TIGHT = 0.75
"""Part of the box that a particle fills at least where the box is too tight; 0.5 to 0.67 is usual."""
GAPS_LISTED = 4
"""Gaps in the CTF that are named one by one."""
FIX_MULTIPLIED = (
    "set rlnCtfDataAreCtfPremultiplied to 1 in data_optics, or give --premultiplied; "
    "if the table is right, give --not-premultiplied"
)
FIX_NOT_MULTIPLIED = (
    "take rlnCtfDataAreCtfPremultiplied out of the table, or give --not-premultiplied; "
    "if the table is right, give --premultiplied"
)


def multiplication_contradicted(source: ParticleSource, index: Int[Tensor, " m"]) -> tuple[str, str] | None:
    """What is wrong, and how to fix it, where the images were multiplied with their CTF otherwise than the table says.

    Parameters
    ----------
    source
        The images, as the table says that they are.
    index
        Images to choose from.
    """
    if source.ctf.is_absent:
        return None
    verdict = judge_multiplication(source, index[:: max(1, len(index) // LOOKED_AT)])
    if verdict == "multiplied" and not source.premultiplied:
        told = "the images were multiplied with their CTF (their noise follows CTF^2), and the table does not say so"
        return told, FIX_MULTIPLIED
    if verdict == "not multiplied" and source.premultiplied:
        told = "the table says that the images were multiplied with their CTF, but their noise does not follow it"
        return told, FIX_NOT_MULTIPLIED
    return None


def on_table(particles: Particles) -> list[str]:
    """Sentences on what the images are, and on what their CTF may be, by the table."""
    doubts = map(sentence_of, ctf_doubts(particles.ctf))
    return [*on_tilts(particles.table), *on_filaments(particles.table), *doubts]


def on_tilts(table: pd.DataFrame) -> list[str]:
    """A sentence where the images are of a tilt series; ``table`` has RELION's labels."""
    count = tilts(table)
    if count is None:
        return []
    return [
        f"The images are of tilt series ({count} doses on a micrograph), and each is taken for a particle of its own: "
        "it holds so little that poses found one by one are seldom right. Fix: give poses of subtomogram averaging to "
        "`cryorbit reconstruct`."
    ]


def on_filaments(table: pd.DataFrame) -> list[str]:
    """A sentence where the particles are segments of filaments; ``table`` has RELION's labels."""
    label = segment_label(table)
    if label is None:
        return []
    return [
        f"The particles are segments of filaments ({label}): each is taken for a particle of its own, and helical "
        "symmetry is not imposed on the map. Fix, where the map is to have it: relion_refine --helix."
    ]


def on_noise(noise: Float[Tensor, " s"], extent: float) -> list[str]:
    """A sentence where the noise ends: raw images hold some at all frequencies.

    Parameters
    ----------
    noise
        Variance of shells 0 ... box / 2.
    extent
        Side of the box, A.
    """
    shell = vanishing_shell(noise)
    if shell is None:
        return []
    return [
        f"Beyond {extent / shell:.1f} Å the images hold hardly any noise: they were denoised, low-passed or enlarged, "
        "and a map of them cannot be trusted there. Fix: extract the particles from the micrographs as recorded."
    ]


def on_masks(*, masked: bool) -> list[str]:
    """A sentence where the images were masked; it is a doubt about any map."""
    if not masked:
        return []
    return [
        "The images were masked, so that their noise cannot be measured outside the particle; the edge of the mask is "
        "taken for signal, and a resolution can be too good. Fix: extract the particles without a mask."
    ]


def on_padding(source: ParticleSource) -> list[str]:
    """A sentence where images reach beyond their micrographs."""
    padded = 0 if source.padded is None else int(source.padded.sum())
    if not padded:
        return []
    return [
        f"{padded:,} of {len(source):,} images are padded at the edge of the micrograph: noise and diameter are "
        "measured from the others, and the padding is replaced by the median of the image."
    ]


def on_defects(levels: GreyLevels | None) -> list[str]:
    """A sentence where pixels are spoilt in all images: rows, columns, or others."""
    spoilt = None if levels is None else levels.spoilt
    if spoilt is None:
        return []
    rows, columns = (spoilt.all(axis) for axis in (1, 0))
    others = torch.nonzero(spoilt & ~rows[:, None] & ~columns[None, :]) + 1
    named = [
        f"{kind}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        for kind, numbers in (("row", _places(rows)), ("column", _places(columns)))
        if numbers
    ]
    if len(others):
        count = "1 pixel" if len(others) == 1 else f"{len(others):,} pixels"
        y, x = others.double().mean(0).round().long().tolist()
        named.append(f"{count} about row {y}, column {x}")
    return [
        f"All images have a defect at one place ({', '.join(named)} of {len(spoilt)}): its pixels are replaced by the "
        "median."
    ]


def _places(mask: Bool[Tensor, " n"]) -> list[int]:
    """Numbers, from 1, of what a mask holds."""
    places: list[int] = (torch.nonzero(mask)[:, 0] + 1).tolist()
    return places


def on_box(diameter: float, extent: float) -> list[str]:
    """A sentence where the particle nearly fills the box; both in A."""
    if diameter < TIGHT * extent:
        return []
    return [
        f"The box of {extent:.0f} Å is too tight for a particle of {diameter:.0f} Å or more: what defocus has spread "
        f"is cut off. Fix: extract the particles in a box of at least {1.5 * diameter:.0f} Å."
    ]


def on_ctf_gaps(gaps: Sequence[float]) -> list[str]:
    """A sentence on the resolutions, in A, that the particles' defoci leave unseen; none where there are none."""
    if not gaps:
        return []
    named = ", ".join(f"{gap:.1f}" for gap in gaps[:GAPS_LISTED]) + (", ..." if len(gaps) > GAPS_LISTED else "")
    return [
        f"The CTFs of all particles together leave gaps at {named} Å, where the map will be weak. "
        "Fix: add particles of other defoci."
    ]
