"""What columns of the CTF say that may be, and hardly is: doubts, where nothing can be known."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryorbit.core.data import CTFParams
from cryorbit.io.bounds import ANGLE, CONTRAST, PHASE_SHIFT

FEWEST_ANGLES, LEAST_RANGE = 20, 1.0
"""Different angles of astigmatism that tell their unit, at least, and the range of theirs, degrees."""
HALF_TURN_DEG, NEAR_DEG = 180.0, 15.0
"""Phase shift that turns the sign of the CTF, and how near to it others do so."""
MOST_CONTRAST = 0.5
"""Amplitude contrast beyond which an image is one of amplitudes rather than of phases; in ice it is about 0.1."""
FEW = 0.1
"""Part of the particles that may have such a value: fits of single micrographs fail."""


def ctf_doubts(ctf: CTFParams) -> list[str]:
    """Doubts about CTF parameters, each of the form ``what is wrong; fix: ...``; none of images without a CTF."""
    if ctf.is_absent:
        return []
    return [*_angles(ctf.defocus_angle), *_inversion(ctf.phase_shift), *_contrast(ctf.amplitude_contrast)]


def _angles(defocus_angle: Float[Tensor, " n"]) -> Iterator[str]:
    """Angles of astigmatism that look like radians taken for degrees: those of many micrographs, all near 0."""
    degrees = torch.rad2deg(defocus_angle)
    values = degrees[degrees != 0].unique()
    if len(values) < FEWEST_ANGLES or not bool((values.abs() < math.pi + 1e-3).all()):
        return
    if float(values.max() - values.min()) >= LEAST_RANGE:
        yield (
            f"the angles of astigmatism lie between {float(values.min()):.3g} and {float(values.max()):.3g} degrees "
            f"({ANGLE.label}), as radians would; fix: multiply them by 57.296 if they are in radians"
        )


def _inversion(phase_shift: Float[Tensor, " n"]) -> Iterator[str]:
    """Phase shifts of half a turn."""
    degrees = torch.rad2deg(phase_shift).abs()
    near = (degrees % (2 * HALF_TURN_DEG) - HALF_TURN_DEG).abs() <= NEAR_DEG
    if float(near.double().mean()) > FEW:
        yield (
            f"the phase shift is {float(degrees[near].median()):.4g} degrees in {_which(near)} ({PHASE_SHIFT.label}), "
            "which inverts the contrast; fix: set it to 0 if there was no phase plate"
        )


def _contrast(amplitude_contrast: Float[Tensor, " n"]) -> Iterator[str]:
    """Amplitude contrast that no particle in ice has."""
    large = amplitude_contrast > MOST_CONTRAST
    if float(large.double().mean()) > FEW:
        yield (
            f"the amplitude contrast is {float(amplitude_contrast[large].median()):.3g} in {_which(large)} "
            f"({CONTRAST.label}), and that of particles in ice is about 0.1; fix: correct the column"
        )


def _which(mask: Bool[Tensor, " n"]) -> str:
    """The particles of a mask, counted."""
    count = int(mask.sum())
    return f"all {count:,} particles" if count == len(mask) else f"{count:,} of {len(mask):,} particles"
