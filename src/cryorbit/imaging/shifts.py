"""In-plane shifts as phases in Fourier space."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc


def shift_phases(shifts: Float[Tensor, "*t 2"], disc: HalfDisc) -> Complex[Tensor, "*t p"]:
    """Factors ``exp(-2 pi i k . shift / N)`` that move an image by ``shift`` pixels, complex64."""
    angle = (-2 * math.pi / disc.box) * (shifts.to(disc.frequencies) @ disc.frequencies.mT)
    return torch.polar(torch.ones_like(angle), angle)
