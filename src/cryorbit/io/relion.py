"""What RELION's labels mean: from STAR tables, 3.0 and older or 3.1 and later, to the nouns of ``core.data``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.data import CTFParams, Poses
from cryorbit.core.errors import InputError
from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.io.bounds import PIXEL_SIZE
from cryorbit.io.integer_columns import integers
from cryorbit.io.relion_strangers import no_image_names, refuse_tomography
from cryorbit.io.star import is_unset, numbers

ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
ORIGINS_A = ("rlnOriginXAngst", "rlnOriginYAngst")
ORIGINS_PX = ("rlnOriginX", "rlnOriginY")
KEPT_TOGETHER = ("rlnTomoParticleName", "rlnGroupName", "rlnMicrographName")
"""Labels of what must not be split over half-sets, the most particular first."""
CLASS = "rlnClassNumber"
MOST_DEG = 1e6
"""Degrees of an angle: a program may add turns up, but in single precision nothing is left of an angle beyond."""
_POSE = (*ANGLES, *ORIGINS_A, *ORIGINS_PX)
SAME_SIZE = 1e-3
"""Relative difference up to which two pixel sizes count as one."""


@dataclass(frozen=True, slots=True)
class RelionTables:
    """The particle table of a STAR file and its optics groups.

    Attributes
    ----------
    particles
        A row a particle.
    optics
        A row an optics group; None in files of RELION 3.0 and older.
    optics_row
        Row in ``optics`` of each particle; None without optics.
    file
        Where they came from.
    """

    particles: pd.DataFrame
    optics: pd.DataFrame | None
    optics_row: Int[np.ndarray, " n"] | None
    file: Path

    def has(self, label: str) -> bool:
        """Whether the label stands in either table."""
        return label in self.particles or (self.optics is not None and label in self.optics)

    def numbers(self, label: str, default: float | None = None) -> Float[np.ndarray, " n"]:
        """A value a particle, float64, from the optics groups or the particle table; ``default`` where in neither."""
        if self.optics is not None and self.optics_row is not None and label in self.optics:
            values: Float[np.ndarray, " n"] = numbers(self.optics, label, self.file)[self.optics_row]
            return values
        if label not in self.particles and default is not None:
            return np.full(len(self.particles), default)
        return numbers(self.particles, label, self.file)

    def subset(self, rows: Int[np.ndarray, " m"]) -> RelionTables:
        """The tables of the particles at ``rows``; optics groups stay."""
        optics_row = None if self.optics_row is None else self.optics_row[rows]
        return replace(self, particles=self.particles.iloc[rows], optics_row=optics_row)

    def integers(self, label: str, default: int, unset: int | None = None) -> Int[np.ndarray, " n"]:
        """A whole number a particle; ``default`` without the column, ``unset`` for values that are not known."""
        if label not in self.particles:
            return np.full(len(self.particles), default, dtype=np.int64)
        return integers(self.particles, label, self.file, unset)


def relion_tables(tables: Mapping[str, pd.DataFrame], file: Path) -> RelionTables:
    """Find the particles and their optics groups among the blocks of a STAR file.

    A class that is not known becomes 0, an angle or an origin NaN.

    Raises
    ------
    InputError
        There is no table of particles, an optics group is missing or defined twice, a class or a group is not a whole
        number, or the particles are not single two-dimensional images (subtomograms, tilt series).
    """
    refuse_tomography(tables, file)
    named = [name for name in ("particles", "images", "") if name in tables]
    name = next((name for name in [*named, *tables] if "rlnImageName" in tables[name]), None)
    if name is None:
        raise no_image_names(tables, file)
    particles = tables[name]
    if particles.empty:
        raise InputError("the table of particles has no rows", file=file, fix="export the particles again")
    # 0 is RELION's own number of no class; no particle is without optics
    integral = {name: unset for name, unset in ((CLASS, 0), ("rlnOpticsGroup", None)) if name in particles}
    particles = particles.assign(**{name: integers(particles, name, file, unset) for name, unset in integral.items()})
    particles = particles.assign(**{label: _known(particles, label, file) for label in _POSE if label in particles})
    optics = tables.get("optics")
    relion = RelionTables(particles, optics, _optics_rows(particles, optics, file), file)
    _refuse_unsupported(relion)
    return relion


def ctf_params(tables: RelionTables) -> CTFParams:
    """CTF parameters, angles in radians; phase shift, B-factor and scale are 0, 0 and 1 where not given."""

    def column(label: str, default: float | None = None) -> Float[Tensor, " n"]:
        return torch.from_numpy(tables.numbers(label, default))

    return CTFParams(
        defocus_u=column("rlnDefocusU"),
        defocus_v=column("rlnDefocusV"),
        defocus_angle=torch.deg2rad(column("rlnDefocusAngle")),
        voltage=column("rlnVoltage"),
        spherical_aberration=column("rlnSphericalAberration"),
        amplitude_contrast=column("rlnAmplitudeContrast"),
        phase_shift=torch.deg2rad(column("rlnPhaseShift", 0.0)),
        b_factor=column("rlnCtfBfactor", 0.0),
        scale=column("rlnCtfScalefactor", 1.0),
    )


def poses(tables: RelionTables, pixel_size: float | Float[np.ndarray, " n"]) -> Poses | None:
    """Poses, shifts in pixels, float64; None unless all three angles are given. Shifts not given are 0.

    A pose of which a number is not known or cannot be is none: without rotation or shift, as programs leave it.
    """
    if not all(tables.has(label) for label in ANGLES):
        return None
    angles = np.stack([tables.numbers(label) for label in ANGLES], axis=-1)
    _refuse_half_a_shift(tables)
    if all(tables.has(label) for label in ORIGINS_A):
        shifts = np.stack([tables.numbers(label) for label in ORIGINS_A], axis=-1) / np.reshape(pixel_size, (-1, 1))
    else:
        shifts = np.stack([tables.numbers(label, 0.0) for label in ORIGINS_PX], axis=-1)
    angles, shifts = unset_as_zero(angles, shifts)
    return Poses(euler_to_matrix(torch.from_numpy(angles)), torch.from_numpy(shifts))


def unset_as_zero(
    angles: Float[np.ndarray, "n a"], shifts: Float[np.ndarray, "n s"]
) -> tuple[Float[np.ndarray, "n a"], Float[np.ndarray, "n s"]]:
    """Angles (degrees) and shifts, all 0 in rows of which a number is not known or cannot be."""
    known = ((np.abs(angles) <= MOST_DEG).all(-1) & np.isfinite(shifts).all(-1))[:, None]
    return np.where(known, angles, 0.0), np.where(known, shifts, 0.0)


def _known(table: pd.DataFrame, label: str, file: Path) -> pd.Series | Float[np.ndarray, " n"]:
    """A column of numbers, NaN where one is not known; one that has them all stays as it is."""
    column = table[label]
    if pd.api.types.is_numeric_dtype(column):
        return column
    return numbers(table.assign(**{label: column.mask(is_unset(column), "nan")}), label, file)


def _refuse_half_a_shift(tables: RelionTables) -> None:
    """Raise `InputError` where one of the two columns of a shift is there without the other: 0 is not what is meant."""
    for pair in (ORIGINS_A, ORIGINS_PX):
        there, absent = sorted(pair, key=tables.has, reverse=True)
        if tables.has(there) and not tables.has(absent):
            raise InputError(
                f"there is a column {there} and no column {absent}",
                file=tables.file,
                fix=f"add {absent}, or correct its label; remove {there} if the particles have no shifts",
            )


def pixel_sizes(tables: RelionTables) -> Float[np.ndarray, " n"]:
    """Pixel size of each image, A: from optics, or magnification and detector pixel size (micrometres).

    Raises
    ------
    InputError
        None is given.
    """
    if tables.has("rlnImagePixelSize"):
        return tables.numbers("rlnImagePixelSize")
    if tables.has("rlnMagnification") and tables.has("rlnDetectorPixelSize"):
        with np.errstate(divide="ignore", invalid="ignore"):
            size_A: Float[np.ndarray, " n"] = (
                1e4 * tables.numbers("rlnDetectorPixelSize") / tables.numbers("rlnMagnification")
            )
        return size_A
    if tables.has("rlnPixelSize"):
        return tables.numbers("rlnPixelSize")
    raise InputError(
        "there is no pixel size",
        file=tables.file,
        fix="add rlnImagePixelSize to data_optics (or rlnMagnification and rlnDetectorPixelSize)",
    )


def pixel_size(tables: RelionTables) -> float:
    """The one pixel size of all images, A.

    Raises
    ------
    InputError
        None is given, one is not positive or out of bounds, or the particles have different ones.
    """
    size = _one_value(tables, "pixel size", pixel_sizes(tables))
    PIXEL_SIZE.require(size, tables.file)
    return size


def image_size(tables: RelionTables) -> int | None:
    """Box in pixels as the optics groups state it, or None where they do not; errors as for `pixel_size`."""
    if not tables.has("rlnImageSize"):
        return None
    return round(_one_value(tables, "image size", tables.numbers("rlnImageSize")))


def half_sets(tables: RelionTables) -> Int[Tensor, " n"] | None:
    """Half-set, 1 or 2, of each particle; None where none is assigned.

    Raises
    ------
    InputError
        Some particles are assigned and others not, or to a half-set that is neither 1 nor 2.
    """
    values = tables.integers("rlnRandomSubset", 0, unset=0)
    if not values.any():
        return None
    wrong = ~np.isin(values, (1, 2))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"rlnRandomSubset is {tables.particles['rlnRandomSubset'].iloc[row]}, not 1 or 2",
            file=tables.file,
            row=int(tables.particles.index[row]) + 1,
            fix="assign every particle to half-set 1 or 2, or remove the column",
        )
    return torch.from_numpy(values)


def groups(tables: RelionTables) -> Int[Tensor, " n"] | None:
    """Number from 0 of the group whose particles must stay in one half-set, for each particle; None where unknown."""
    label = group_label(tables.particles)
    if label is None:
        return None
    return torch.from_numpy(pd.factorize(tables.particles[label])[0].astype(np.int64))


def group_label(table: pd.DataFrame) -> str | None:
    """The column that names what must stay in one half-set; None where there is none."""
    return next((label for label in KEPT_TOGETHER if label in table), None)


def premultiplied(tables: RelionTables) -> bool:
    """Whether the images were multiplied with their CTF."""
    values = tables.numbers("rlnCtfDataAreCtfPremultiplied", 0.0)
    if values.any() and not values.all():
        raise InputError(
            "some images were multiplied with their CTF and others not",
            file=tables.file,
            fix="give one kind at a time: --subset 'rlnCtfDataAreCtfPremultiplied == 1'",
        )
    return bool(values.all())


def _optics_rows(particles: pd.DataFrame, optics: pd.DataFrame | None, file: Path) -> Int[np.ndarray, " n"] | None:
    if optics is None:
        if "rlnOpticsGroup" in particles and "rlnVoltage" not in particles:
            raise InputError(
                "the particles name optics groups, but there is no block data_optics",
                file=file,
                fix="put the data_optics block of the original file back",
            )
        return None
    if "rlnOpticsGroup" not in optics:
        raise InputError(
            "data_optics has no column rlnOpticsGroup",
            file=file,
            fix="add it, or correct its label: the number that particles name the group by",
        )
    group_numbers = pd.Index(numbers(optics, "rlnOpticsGroup", file))
    if group_numbers.has_duplicates:
        raise InputError("an optics group is defined twice", file=file, fix="renumber rlnOpticsGroup in data_optics")
    rows: Int[np.ndarray, " n"] = group_numbers.get_indexer(integers(particles, "rlnOpticsGroup", file))
    if (rows < 0).any():
        raise InputError(
            "the optics group of the particle is not in data_optics",
            file=file,
            row=int(particles.index[np.argmax(rows < 0)]) + 1,
            fix="add the group to data_optics or take the particles out",
        )
    return rows


def _refuse_unsupported(tables: RelionTables) -> None:
    supported = {
        "rlnImageDimensionality": (2, "the particles are not 2-D images", "give images of single particles"),
        "rlnCtfDataArePhaseFlipped": (
            0,
            "the images are phase-flipped",
            "extract the particles again without flipping phases; the column alone does not turn them back",
        ),
    }
    for label, (value, problem, fix) in supported.items():
        if tables.has(label) and (tables.numbers(label) != value).any():
            raise InputError(
                f"{problem} ({label}), which is not supported",
                file=tables.file,
                fix=fix,
            )


def _one_value(tables: RelionTables, what: str, values: Float[np.ndarray, " n"]) -> float:
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        raise InputError(
            f"the {what} is {values[wrong][0]:g}",
            file=tables.file,
            row=int(tables.particles.index[np.argmax(wrong)]) + 1,
            fix=f"correct the {what}; it must be positive",
        )
    if np.ptp(values) > SAME_SIZE * values.min():
        raise InputError(
            f"the {what} is {values.min():g} for some particles and {values.max():g} for others",
            file=tables.file,
            fix=f"give one kind at a time: {_one_kind(tables)}; to join them, extract all with one {what}, or bring "
            "them to one with `cryorbit resample`",
        )
    return float(values[0])


def _one_kind(tables: RelionTables) -> str:
    """A query that chooses the particles of the first one's kind."""
    if "rlnOpticsGroup" in tables.particles:
        return f"--subset 'rlnOpticsGroup == {tables.particles['rlnOpticsGroup'].iloc[0]}'"
    return "--subset, a query on the columns"
