"""Contrast transfer parameters as a microscope session gives them: alike within a micrograph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from cryorbit.core.bounds import CS_IN_METRES, MOST
from cryorbit.core.data import CTFParams
from cryorbit.core.errors import InputError

FARTHEST_A = 200_000.0
"""No defocus is larger, A."""
NEAREST_A = 50.0
"""No defocus but 0 is smaller: it would be in micrometres."""
VOLTAGES_KV = (20.0, 2000.0)
MOST_ABERRATION_MM = 20.0
Defocus: TypeAlias = Annotated[float, Field(ge=-MOST, le=MOST)]


@dataclass(frozen=True, slots=True)
class Microscope:
    """Settings of a microscope session, from which CTF parameters are drawn; each says what it is in its `Field`."""

    voltage: Annotated[float, Field(gt=0, le=MOST, description="Acceleration voltage, kV.")] = 300.0
    spherical_aberration: Annotated[float, Field(ge=0, le=MOST, description="Spherical aberration, mm.")] = 2.7
    amplitude_contrast: Annotated[float, Field(ge=0, lt=1, description="Amplitude contrast, as a fraction.")] = 0.1
    defocus_range: Annotated[
        tuple[Defocus, Defocus],
        Field(description="Lowest and highest defocus of the micrographs, Å, between which they are uniform."),
    ] = (10_000.0, 25_000.0)
    defocus_spread: Annotated[
        float,
        Field(ge=0, le=FARTHEST_A, description="Largest deviation of a particle's defocus from its micrograph's, Å."),
    ] = 200.0
    astigmatism: Annotated[
        float, Field(ge=0, le=FARTHEST_A, description="Largest astigmatism of a micrograph, Å; uniform from 0.")
    ] = 400.0
    particles_per_micrograph: Annotated[
        int, Field(ge=1, le=MOST, description="Particles per micrograph; the last one may have fewer.")
    ] = 100

    def __post_init__(self) -> None:
        """Refuse what no microscope does; ``InputError`` names the setting, and the unit that it may have been in."""
        if not 0 <= self.amplitude_contrast < 1:
            raise InputError(
                f"the amplitude contrast is {self.amplitude_contrast:g}", fix="give a fraction from 0 to 1"
            )
        if self.particles_per_micrograph < 1:
            raise InputError("a micrograph has at least one particle", fix="give particles_per_micrograph = 1 or more")
        self._check_units()
        if self.defocus_range[0] > self.defocus_range[1]:
            raise InputError("the defocus range begins above its end", fix="give the lower defocus first")

    def _check_units(self) -> None:
        volts, aberration = self.voltage, self.spherical_aberration
        if not VOLTAGES_KV[0] <= volts <= VOLTAGES_KV[1]:
            in_kv = f": {volts / 1000:g} for {volts:g} V" if VOLTAGES_KV[0] <= volts / 1000 <= VOLTAGES_KV[1] else ""
            raise InputError(f"the voltage is {volts:g} kV", fix=f"give it in kV, 20 to 2000{in_kv}")
        if CS_IN_METRES[0] <= aberration <= CS_IN_METRES[1] or aberration > MOST_ABERRATION_MM:
            in_mm = f": {1000 * aberration:g} for {aberration:g} m" if aberration <= CS_IN_METRES[1] else ""
            raise InputError(f"the spherical aberration is {aberration:g} mm", fix=f"give it in mm, 0 to 20{in_mm}")
        for defocus in self.defocus_range:
            if defocus != 0 and not NEAREST_A <= abs(defocus) <= FARTHEST_A:
                raise InputError(
                    f"a defocus of {defocus:g} Å, or {1e-4 * defocus:g} µm, is outside 0.005 to 20 µm",
                    fix="give --defocus-range in µm, or defocus_range of a file of settings in Å",
                )


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
