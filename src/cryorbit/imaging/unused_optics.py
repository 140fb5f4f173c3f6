"""Optics that a particle table states and that nothing here corrects for, and what that costs.

cryoSPARC's lengths of aberrations are undocumented: the factors of trefoil and of the fourth order are those that
public readers of its files use, so that their phases are orders of magnitude. Frequencies are in 1/A.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from cryorbit.imaging.ctf import electron_wavelength
from cryorbit.imaging.stated_optics import MATRIX_NAME, NO_STRETCH, lacks_identity, stated_matrices
from cryorbit.io.cryosparc import names_of
from cryorbit.io.particles import Particles

HARMFUL_RAD = 0.5
"""Phase error from which on an unused aberration limits the map, radians: its cosine, 0.88, of the signal is left."""
RADII, ANGLES = 6, 24
"""Radii and directions at which phases are evaluated."""
TRIED = 200
"""Frequencies, up to Nyquist, among which the first harmful one is looked for."""
PARTICLE_REACH = 0.25
"""Distance from the centre, boxes, at which a stretch is judged: the rim of a particle of half a box."""
ANISOTROPY, TETRAFOIL = "ctf/anisomag", "ctf/tetra_A"

Phase = Callable[[float], float]
"""Largest phase error, radians, of all particles at a spatial frequency in 1/A."""


@dataclass(frozen=True, slots=True)
class UnusedTerm:
    """One kind of unused optics: its name, where the table states it, and its phase error."""

    name: str
    labels: str
    phase: Phase


@dataclass(frozen=True, slots=True)
class UnusedOptics:
    """All unused optics of a particle set with pixels of half ``nyquist_A``, and what was unclear."""

    terms: tuple[UnusedTerm, ...]
    nyquist_A: float  # noqa: N815 (units belong to the name)
    remarks: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """What is said of each before a job, with the resolution from which on it matters."""
        return [*self.remarks, *(self._sentence(term) for term in self.terms)]

    def doubts(self, resolution_A: float) -> list[str]:
        """What is said of those that are harmful at a claimed resolution, A."""
        found = ((term, term.phase(1 / resolution_A)) for term in self.terms)
        return [
            f"{term.name} ({term.labels}) is not corrected for: at {resolution_A:.2f} Å it turns phases by "
            f"{phase:.1f} rad; fix: reconstruct in a program that corrects for it"
            for term, phase in found
            if phase > HARMFUL_RAD
        ]

    def _sentence(self, term: UnusedTerm) -> str:
        frequencies = np.arange(TRIED + 1) / (TRIED * self.nyquist_A)
        phases = np.array([0.0, *(term.phase(float(k)) for k in frequencies[1:])])
        stated = f"{term.name[0].upper()}{term.name[1:]} ({term.labels}) is not corrected for"
        if not np.isfinite(phases).all():
            return f"{stated}: its values cannot be; correct or remove them."
        if phases.max() <= HARMFUL_RAD:
            most = f"{phases[-1]:.2g} rad at {self.nyquist_A:.3g} Å (Nyquist)"
            return f"{stated}: phases are off by {most}, which is harmless."
        last = int(np.argmax(phases > HARMFUL_RAD)) + 1
        limit = float(np.interp(HARMFUL_RAD, phases[last - 2 : last], frequencies[last - 2 : last]))
        return f"{stated}: phases are off by more than half a radian beyond {1 / limit:.3g} Å."


def unused_optics(particles: Particles) -> UnusedOptics:
    """The optics that the table of a particle set states and that are not used; what is 0 throughout is none."""
    terms = (*_of_star(particles), *_of_records(particles))
    return UnusedOptics(terms, 2 * particles.pixel_size, tuple(_on_matrices(particles)))


def _of_star(particles: Particles) -> Iterator[UnusedTerm]:
    """Those of RELION's labels: a stretch in cryoSPARC's words; all else is corrected for."""
    stated = stated_matrices(particles)
    if stated is not None:
        matrices = stated[1]
        yield from _magnification(matrices[lacks_identity(matrices)], MATRIX_NAME, particles)


def _of_records(particles: Particles) -> Iterator[UnusedTerm]:
    """Those of cryoSPARC's fields: lengths of aberrations in A, and a relative stretch."""
    records = particles.records
    if records is None:
        return
    length = electron_wavelength(particles.ctf.voltage).numpy()
    for field, name, phase_of in (("ctf/tilt_A", "beam tilt", coma_phase), ("ctf/trefoil_A", "trefoil", trefoil_phase)):
        strength = np.linalg.norm(_set_numbers(records, field, 2), axis=1) * length**2
        if strength.any():
            yield UnusedTerm(name, field, partial(_largest, phase_of, strength.max()))
    pairs = _set_numbers(records, TETRAFOIL, 4).reshape(-1, 2, 2)
    fourth = np.linalg.norm(pairs, axis=2) * length[:, None] ** 3
    if fourth.any():
        yield UnusedTerm("tetrafoil", TETRAFOIL, partial(_largest, fourth_order_phase, fourth.max(0)))
    yield from _magnification(_without_identity(_set_numbers(records, ANISOTROPY, 4)), ANISOTROPY, particles)


def _magnification(stretch: Float[np.ndarray, "n 2 2"], labels: str, particles: Particles) -> Iterator[UnusedTerm]:
    largest = float(np.linalg.norm(stretch, ord=2, axis=(1, 2)).max(initial=0))
    if largest > NO_STRETCH:
        distance = PARTICLE_REACH * particles.box * particles.pixel_size
        phase = partial(magnification_phase, largest, distance)
        yield UnusedTerm("anisotropic magnification", labels, phase)


def _without_identity(matrices: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 2 2"]:
    """Relative stretches of a ``.cs`` file, in which some hold the identity; of zeros there is none."""
    square = matrices.reshape(-1, 2, 2)
    less = square - np.eye(2)
    is_stretch = np.linalg.norm(square, axis=(1, 2)) < np.linalg.norm(less, axis=(1, 2))
    stretch: Float[np.ndarray, "n 2 2"] = np.where(is_stretch[:, None, None], square, less)
    return stretch


def _on_matrices(particles: Particles) -> Iterator[str]:
    """What is said of matrices that are not as RELION and cryoSPARC write them."""
    stated = stated_matrices(particles)
    if stated is not None:
        lacking = stated[1][lacks_identity(stated[1])]
        if not lacking.any((1, 2)).all():
            yield f"The matrix of the magnification ({MATRIX_NAME}) is 0: it is taken for one that is not set."
        if lacking.any():
            yield (
                f"The matrix of the magnification ({MATRIX_NAME}) lacks the identity, as in a .cs file, which does not "
                "say in which direction it stretches; if it is RELION's, add 1 to rlnMagMat00 and rlnMagMat11."
            )
    records = particles.records
    if records is not None and (_set_numbers(records, ANISOTROPY, 4)[:, [0, 3]] > 0.5).all(1).any():
        yield f"The magnification ({ANISOTROPY}) holds the identity, which is taken out of it."


def _set_numbers(records: np.ndarray, field: str, size: int) -> Float[np.ndarray, "n k"]:
    """The numbers of a field, 0 where they were not set."""
    if field not in names_of(records):
        return np.zeros((len(records), size))
    return np.nan_to_num(records[field].astype(np.float64), posinf=0, neginf=0)


def _disc(frequency: float) -> Float[np.ndarray, "p 2"]:
    """Frequencies within a disc, ring by ring, the outermost last."""
    radius = frequency * np.arange(1, RADII + 1) / RADII
    angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
    return np.stack([np.outer(radius, np.cos(angle)), np.outer(radius, np.sin(angle))], -1).reshape(-1, 2)


def _largest(phase_of: Callable[[Any, np.ndarray], np.ndarray], strength: Any, frequency: float) -> float:
    """Largest phase at a frequency; a phase that is linear in the frequency only shifts the image."""
    disc = _disc(frequency)
    phases = phase_of(strength, disc)
    shift, *_ = np.linalg.lstsq(disc, phases, rcond=None)
    return float(np.abs(phases - disc @ shift)[-ANGLES:].max())


def coma_phase(strength: float, frequencies: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, " p"]:
    """Phase of axial coma along x, ``2 pi A lambda^2 k^2 k_x`` for a ``strength`` ``A lambda^2``."""
    return 2 * math.pi * strength * (frequencies**2).sum(1) * frequencies[:, 0]


def trefoil_phase(strength: float, frequencies: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, " p"]:
    """Phase of trefoil, ``2 pi / 3 A lambda^2 k^3 cos(3 theta)`` for a ``strength`` ``A lambda^2``."""
    x, y = frequencies.T
    return 2 * math.pi / 3 * strength * (x**3 - 3 * x * y**2)


def fourth_order_phase(strength: tuple[float, float], frequencies: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, " p"]:
    """Phase of astigmatism of fourth order and tetrafoil, for their two strengths ``A lambda^3``.

    ``2 pi A lambda^3 k^4 cos(2 theta)`` and ``pi / 2 A lambda^3 k^4 cos(4 theta)``, crest on crest.
    """
    x, y = frequencies.T
    second, fourth = strength
    return 2 * math.pi * second * (x**4 - y**4) + 0.5 * math.pi * fourth * (x**4 - 6 * x**2 * y**2 + y**4)


def magnification_phase(stretch: float, distance_A: float, frequency: float) -> float:
    """Phase by which a relative stretch of the image displaces what lies ``distance_A`` from the centre, radians."""
    return 2 * math.pi * stretch * distance_A * frequency
