"""What a table says besides the values that are used, or does not say: the same sentences for jobs and inspections."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from cryorbit.core.bounds import CS_IN_METRES
from cryorbit.io.bounds import SPHERICAL
from cryorbit.io.column_names import in_words
from cryorbit.io.cryosparc import names_of
from cryorbit.io.particles import Particles
from cryorbit.io.relion import SAME_SIZE
from cryorbit.io.star_versions import GROUP

STATED_TWICE = {
    "rlnImagePixelSize": ("pixel size", " Å"),
    "rlnVoltage": ("voltage", " kV"),
    "rlnSphericalAberration": ("spherical aberration", " mm"),
    "rlnAmplitudeContrast": ("amplitude contrast", ""),
}
"""Names and units of what optics groups state, and particles may state as well."""


def table_remarks(particles: Particles) -> list[str]:
    """Sentences on values that are stated twice, and not alike, never set, or of another unit."""
    found = (*_stated_twice(particles), *_never_set(particles), *_in_metres(particles))
    return [in_words(said, particles.source) for said in found]


def _stated_twice(particles: Particles) -> Iterator[str]:
    """What optics groups say, which holds, and particles say otherwise."""
    table, optics = particles.table, particles.optics
    if optics is None or GROUP not in table:
        return
    row = pd.Index(optics[GROUP]).get_indexer(table[GROUP])
    for label, (name, unit) in STATED_TWICE.items():
        if label not in table or label not in optics:
            continue
        used, other = (pd.to_numeric(each, errors="coerce").to_numpy(float) for each in (optics[label], table[label]))
        used = used[row]
        differs = np.abs(used - other) > SAME_SIZE * np.abs(used)
        if differs.any():
            first = int(differs.argmax())
            yield (
                f"The {name} of data_optics is used, {used[first]:g}{unit}; the table of the particles says another, "
                f"{other[first]:g}{unit} ({label}, row {particles.rows[first]}). Fix: correct the one that is wrong."
            )


def _never_set(particles: Particles) -> Iterator[str]:
    """Pixel sizes of 0, where others tell."""
    records = particles.records
    if records is None or "blob/psize_A" not in names_of(records):
        return
    rows = particles.rows[records["blob/psize_A"] == 0]
    if len(rows):
        yield (
            f"{len(rows):,} of {len(particles):,} particles have a pixel size of 0 (rlnImagePixelSize, row {rows[0]} "
            f"first): that of the others is used, {particles.pixel_size:.4g} Å."
        )


def _in_metres(particles: Particles) -> Iterator[str]:
    """A spherical aberration in mm that looks like one in m."""
    low, high = CS_IN_METRES
    stated = particles.ctf.spherical_aberration
    small = stated[(stated >= low) & (stated <= high)]
    if len(small) and not particles.ctf.is_absent:
        yield (
            f"The spherical aberration is {float(small[0]):.3g} mm in {len(small):,} of {len(stated):,} particles "
            f"({SPHERICAL.label}), as that of most microscopes would be in m. Fix: give {1000 * float(small[0]):.3g}, "
            "unless the microscope is corrected for it."
        )
