"""Contrast transfer parameters as a microscope session gives them: alike within a micrograph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from cryorbit.core.bounds import MOST
from cryorbit.core.data import CTFParams
from cryorbit.core.errors import InputError

FARTHEST_A = 200_000.0
"""No defocus is larger, A."""
Defocus: TypeAlias = Annotated[float, Field(ge=-FARTHEST_A, le=FARTHEST_A)]


@dataclass(frozen=True, slots=True)
class Microscope:
    """Settings of a session.

    Attributes
    ----------
    voltage
        kV.
    spherical_aberration
        mm.
    amplitude_contrast
        Fraction.
    defocus_range
        Lowest and highest defocus of a micrograph, A, uniform between.
    defocus_spread
        Largest deviation of a particle from its micrograph, A, either way, uniform.
    astigmatism
        Largest difference of the defoci of a micrograph along its two axes, A, uniform from 0.
    particles_per_micrograph
        The last micrograph may have fewer.
    """

    voltage: Annotated[float, Field(gt=0, le=10_000)] = 300.0
    spherical_aberration: Annotated[float, Field(ge=0, le=100)] = 2.7
    amplitude_contrast: Annotated[float, Field(ge=0, lt=1)] = 0.1
    defocus_range: tuple[Defocus, Defocus] = (10_000.0, 25_000.0)
    defocus_spread: Annotated[float, Field(ge=0, le=FARTHEST_A)] = 200.0
    astigmatism: Annotated[float, Field(ge=0, le=FARTHEST_A)] = 400.0
    particles_per_micrograph: Annotated[int, Field(ge=1, le=MOST)] = 100

    def __post_init__(self) -> None:
        """Refuse what no microscope does; ``InputError`` names the setting."""
        if not self.voltage > 0 or not 0 <= self.amplitude_contrast < 1:
            raise InputError("voltage must be positive and amplitude contrast in [0, 1)")
        if self.defocus_range[0] > self.defocus_range[1]:
            raise InputError("the defocus range begins above its end", fix="give the lower defocus first")
        if self.particles_per_micrograph < 1:
            raise InputError("a micrograph has at least one particle")


def draw_ctf(count: int, microscope: Microscope, generator: torch.Generator) -> tuple[CTFParams, Int[Tensor, " n"]]:
    """CTF parameters of ``count`` particles and the number from 0 of the micrograph of each."""
    micrograph = torch.arange(count) // microscope.particles_per_micrograph
    micrographs = int(micrograph[-1]) + 1 if count else 0
    low, high = microscope.defocus_range
    mean = low + (high - low) * _uniform(micrographs, generator)[micrograph]
    mean = mean + microscope.defocus_spread * (2 * _uniform(count, generator) - 1)
    half_difference = 0.5 * microscope.astigmatism * _uniform(micrographs, generator)[micrograph]
    angle = math.pi * _uniform(micrographs, generator)[micrograph]

    def constant(value: float) -> Float[Tensor, " n"]:
        return torch.full((count,), value, dtype=torch.float64)

    params = CTFParams(
        defocus_u=mean + half_difference,
        defocus_v=mean - half_difference,
        defocus_angle=angle,
        voltage=constant(microscope.voltage),
        spherical_aberration=constant(microscope.spherical_aberration),
        amplitude_contrast=constant(microscope.amplitude_contrast),
        phase_shift=constant(0.0),
        b_factor=constant(0.0),
        scale=constant(1.0),
    )
    return params, micrograph


def _uniform(count: int, generator: torch.Generator) -> Float[Tensor, " n"]:
    return torch.rand(count, generator=generator, dtype=torch.float64)
