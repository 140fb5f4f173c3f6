"""What a quantity of a particle table can be: the bounds of all of them, in the units of RELION's labels.

A value outside is not a rare value but a wrong unit, a damaged row, or a number that was never set. A map made with it
would be wrong without a word, so its particle is set aside, with the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryorbit.core.data import CTFParams, Poses
from cryorbit.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Bound:
    """The bounds of a quantity.

    Attributes
    ----------
    name
        With its article: ``a defocus``.
    label
        RELION's label or labels.
    low, high
        Bounds, both allowed.
    unit
        Of the bounds; empty for pure numbers.
    fix
        What the user can do about a value outside.
    """

    name: str
    label: str
    low: float
    high: float
    unit: str
    fix: str

    @property
    def reason(self) -> str:
        """What is said of a particle whose value lies outside."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} outside {_plain(self.low)} to {_plain(self.high)}{unit} ({self.label})"

    def broken(self, values: Float[Tensor, "*n"]) -> Bool[Tensor, "*n"]:
        """Mask of the values outside; NaN and infinity are."""
        return ~((values >= self.low) & (values <= self.high))

    def require(self, value: float, file: Path) -> None:
        """Raise `InputError` unless the value of the whole set lies inside."""
        if not self.low <= value <= self.high:
            unit = f" {self.unit}" if self.unit else ""
            raise InputError(f"{self.reason}: it is {value:g}{unit}", file=file, fix=self.fix)


_ANGULAR = "degrees (in radians in a .cs file)"
PIXEL_SIZE = Bound("a pixel size", "rlnImagePixelSize", 0.2, 100.0, "Å", "give the pixel size of the images in Å")
DEFOCUS = Bound(
    "a defocus",
    "rlnDefocusU, rlnDefocusV",
    50.0,
    100_000.0,
    "Å",
    "give the defocus in Å, not micrometres, and underfocus as positive",
)
NEAR_FOCUS = Bound("a defocus", DEFOCUS.label, -10_000.0, DEFOCUS.high, "Å", DEFOCUS.fix)
"""With a phase plate there is contrast at and about focus."""
PHASE_PLATE_DEG = 20.0
"""Phase shift from which on a phase plate makes the contrast, degrees."""
NEARLY_ALL = 0.9
"""Part of the phase shifts that tells the unit of all."""
LEAST_SET = 0.05
"""Part of the particles that have a phase shift, where it tells a unit."""
ASTIGMATISM = Bound("astigmatism", DEFOCUS.label, 0.0, 20_000.0, "Å", DEFOCUS.fix)
VOLTAGE = Bound("a voltage", "rlnVoltage", 20.0, 2000.0, "kV", "give the voltage in kV")
CONTRAST = Bound(
    "an amplitude contrast", "rlnAmplitudeContrast", 0.0, 1.0, "", "give a fraction from 0 to 1, not a percentage"
)
SPHERICAL = Bound(
    "a spherical aberration", "rlnSphericalAberration", 0.0, 20.0, "mm", "give the spherical aberration in mm"
)
ANGLE = Bound(
    "an angle of astigmatism",
    "rlnDefocusAngle",
    -1080.0,
    1080.0,
    "degrees",
    f"give the angle in {_ANGULAR}",
)
PHASE_SHIFT = Bound(
    "a phase shift",
    "rlnPhaseShift",
    -360.0,
    360.0,
    "degrees",
    f"give the phase shift in {_ANGULAR}",
)
SCALE = Bound("a CTF scale", "rlnCtfScalefactor", 0.01, 100.0, "", "set it to 1, or remove the column")
STRONGEST_ENVELOPE = 2000.0
"""Largest B-factor of a particle, A^2: ten times that of a tilt image after its whole dose."""
MOST_GAIN = 3.0
"""Logarithm of the most that a negative B-factor may strengthen the image at its Nyquist frequency."""
SPREAD = Bound("a standard deviation of the pixels", "rlnImageName", 1e-12, 1e12, "", "extract the particle again")
PHASE_UNITS_FIX = (
    "multiply rlnPhaseShift by 57.296 if it is in radians, by 180 if in parts of pi; remove it if there was no phase "
    "plate"
)
_SHIFT_FIX = "origins are those of the particle within its box: rlnOriginXAngst in Å, rlnOriginX in pixels"


def b_factor_bound(pixel_size: float) -> Bound:
    """The bounds of a particle's B-factor, A^2, in images of ``pixel_size`` A.

    The envelope is ``exp(-B k^2 / 4)`` with ``k = 1 / (2 pixel_size)`` at Nyquist.
    """
    low = -4 * MOST_GAIN * (2 * pixel_size) ** 2
    fix = "give the B-factor of the particle (0 for none), not of the map"
    return Bound("a B-factor", "rlnCtfBfactor", round(low), STRONGEST_ENVELOPE, "Å²", fix)


def shift_bound(box: int) -> Bound:
    """The bounds of a shift in images of ``box`` pixels: beyond it the particle is not in its image."""
    most = math.nextafter(float(box), 0)
    return Bound("a shift", "rlnOriginXAngst, rlnOriginYAngst", -most, most, "pixels, the box", _SHIFT_FIX)


def impossible_values(
    ctf: CTFParams, poses: Poses | None, pixel_size: float, box: int
) -> dict[Bound, Bool[Tensor, " n"]]:
    """Masks of the particles whose CTF parameters or shifts cannot be, by the bound that they break.

    Parameters
    ----------
    ctf
        CTF parameters of N particles.
    poses
        Their poses, shifts in pixels, or None.
    pixel_size
        A.
    box
        Side of the images, pixels; 0 where it is not known.
    """
    defocus = torch.stack([ctf.defocus_u, ctf.defocus_v])
    phase = torch.rad2deg(ctf.phase_shift)
    plate = phase.abs() >= PHASE_PLATE_DEG
    shifts = {} if poses is None or not box else {shift_bound(box): shift_bound(box).broken(poses.shifts).any(-1)}
    if ctf.is_absent:
        return shifts
    impossible = {
        DEFOCUS: DEFOCUS.broken(defocus).any(0) & ~plate,
        NEAR_FOCUS: NEAR_FOCUS.broken(defocus).any(0) & plate,
        # a defocus that is not finite is named already
        ASTIGMATISM: (defocus[0] - defocus[1]).abs().nan_to_num(0, 0) > ASTIGMATISM.high,
        VOLTAGE: VOLTAGE.broken(ctf.voltage),
        CONTRAST: CONTRAST.broken(ctf.amplitude_contrast),
        SPHERICAL: SPHERICAL.broken(ctf.spherical_aberration),
        ANGLE: ANGLE.broken(torch.rad2deg(ctf.defocus_angle)),
        PHASE_SHIFT: PHASE_SHIFT.broken(phase),
        SCALE: SCALE.broken(ctf.scale),
        b_factor_bound(pixel_size): b_factor_bound(pixel_size).broken(ctf.b_factor),
    }
    if bool((defocus.abs() < DEFOCUS.low).all()):
        # not even a phase plate is used at focus throughout: these are micrometres
        impossible[DEFOCUS] = torch.ones_like(plate)
    return impossible | shifts


def phase_units_problem(phase_shift: Float[Tensor, " n"]) -> str | None:
    """A sentence if phase shifts, in radians, look like radians or parts of pi taken for degrees; else None.

    Nearly all that are not 0 lie between 0 and pi degrees then. Phase plates shift by tens of degrees, and shifts that
    were fitted without one scatter about 0.
    """
    degrees = torch.rad2deg(phase_shift)
    values = degrees[degrees != 0]
    small = values[(values > 0.02) & (values < math.pi + 1e-3)]
    if len(small) <= max(NEARLY_ALL * len(values), LEAST_SET * len(degrees)):
        return None
    which = "all" if len(small) == len(degrees) else f"{len(small):,} of {len(degrees):,}"
    least, most = float(small.min()), float(small.max())
    return f"{which} phase shifts lie between 0 and pi (rlnPhaseShift, {least:.4g} to {most:.4g}): degrees are expected"


def _plain(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 1 and math.isfinite(number) else f"{number:g}"
