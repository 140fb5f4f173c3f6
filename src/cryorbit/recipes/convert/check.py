"""The round trip: what the new file says, brought back to the old format, against what the old file said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from cryorbit.geometry.rotations import angular_distance, euler_to_matrix, rotvec_to_matrix
from cryorbit.io.cryosparc import (
    CENTRE,
    COORDINATE,
    CTF_LABELS,
    OPTICS_LABELS,
    coordinates,
    has_pose,
    image_pixels,
    names_of,
    origins,
    plain_path,
    with_fields,
)
from cryorbit.io.cryosparc_records import NO_ABERRATION
from cryorbit.io.image_paths import is_file
from cryorbit.io.relion import ANGLES, ORIGINS_A, ORIGINS_PX, pixel_sizes, unset_as_zero
from cryorbit.io.star_versions import GROUP_NAME, flat_table, stale_columns
from cryorbit.recipes.convert.particle_file import ParticleFile, records_for

Fate: TypeAlias = Literal["exact", "rounded", "not carried", "changed"]
SINGLE, DOUBLE = 4 * 2.0**-23, 4 * 2.0**-52
"""Rounding that a number may suffer in a format of single and of double precision, relative to the column's largest."""
UNDERFLOW = float(np.finfo(np.float32).tiny)
"""Numbers below this one may become 0."""
ROTATION_DEG = {SINGLE: 1e-4, DOUBLE: 1e-6}
"""The same for rotations, degrees."""
POSE, SHIFT, SHIFT_PIXEL = "alignments3D/pose", "alignments3D/shift", "alignments3D/psize_A"
GROUPS = ("rlnOpticsGroup", "ctf/exp_group_id")
"""Columns of which only which particles belong together counts."""
CARRIED = {
    *("uid", "blob/shape", "location/micrograph_path", *GROUPS),
    *(POSE, SHIFT, "alignments3D/class", "alignments3D/split"),
    *(field for field, _ in CTF_LABELS.values()),
    *OPTICS_LABELS.values(),
    "location/micrograph_psize_A",
}
"""Fields of a ``.cs`` file that a STAR file holds as they are."""
_ABERRATION, _PIXEL = "aberrations have no agreed translation", "the pixel size says it"
PLACE = (*CENTRE, "location/micrograph_shape", COORDINATE)
"""Fields that say together where a particle is on its micrograph."""
REASONS = {
    "blob/sign": "a STAR file cannot say that protein is dark",
    GROUP_NAME: "groups have numbers only",
    **dict.fromkeys(NO_ABERRATION, _ABERRATION),
    **dict.fromkeys(("rlnBeamTiltX", "rlnBeamTiltY", "rlnOddZernike", "rlnEvenZernike"), _ABERRATION),
    **dict.fromkeys(("rlnMagMat00", "rlnMagMat01", "rlnMagMat10", "rlnMagMat11"), _ABERRATION),
    **dict.fromkeys(("rlnMagnification", "rlnDetectorPixelSize", "rlnPixelSize"), _PIXEL),
    "alignments3D/split": "no half-sets were assigned",
}
"""Why a column is not carried, where there is more to say than that the format has no such column."""


@dataclass(frozen=True, slots=True)
class ColumnFate:
    """What became of a column.

    Attributes
    ----------
    name
        Label or field.
    fate
        ``exact``, ``rounded`` to the precision of the format, ``not carried``, or ``changed``, which is a fault.
    remark
        Largest difference, or the reason.
    """

    name: str
    fate: Fate
    remark: str


def compare_columns(source: ParticleFile, written: ParticleFile) -> tuple[ColumnFate, ...]:
    """What became of each column of ``source`` in the file ``written`` from it."""
    precision = SINGLE if written.records is not None else DOUBLE
    if source.records is None:
        return tuple(_star_fates(source, written, precision))
    return tuple(_record_fates(source, written))


def _star_fates(source: ParticleFile, written: ParticleFile, precision: float) -> Iterator[ColumnFate]:
    """Fates of the columns of a STAR file."""
    before, after = (_unset_as_zero(flat_table(each.tables)) for each in (source, written))
    _add_origins(after, pixel_sizes(written.tables))
    yield _images("rlnImageName", source, written)
    stale = stale_columns(before, pixel_sizes(source.tables))
    posed = set(ANGLES) <= set(before) & set(after)
    if posed:
        angles = (torch.from_numpy(table[list(ANGLES)].to_numpy(float, copy=True)) for table in (before, after))
        yield _rotations(", ".join(ANGLES), precision, *map(euler_to_matrix, angles))
    for label in before:
        if label == "rlnImageName" or (posed and label in ANGLES):
            continue
        if label in stale:
            yield ColumnFate(label, "not carried", "left over from another layout: other columns say otherwise")
        elif label not in after or (label == GROUP_NAME and written.records is not None):
            yield ColumnFate(label, "not carried", REASONS.get(label, "a .cs file has no such field"))
        else:
            yield _values(label, precision, before[label].to_numpy(), after[label].to_numpy())


def _record_fates(source: ParticleFile, written: ParticleFile) -> Iterator[ColumnFate]:
    """Fates of the fields of a ``.cs`` file; a STAR file is made records again for it."""
    assert source.records is not None
    before = _unset_fields_as_zero(source.records)
    after = written.records if written.records is not None else records_for(written, source.tables.file)
    yield _images("blob/path, blob/idx", source, written)
    yield from _place_fate(before, after)
    for name in names_of(before):
        if name in ("blob/path", "blob/idx", SHIFT_PIXEL, *PLACE):
            continue
        fate = _field_fate(name, before, after)
        carried = name in CARRIED or written.records is not None
        yield fate if carried or fate.fate != "changed" else _not_carried(name)


def _place_fate(before: np.ndarray, after: np.ndarray) -> Iterator[ColumnFate]:
    """Fate of the places on the micrographs, in pixels."""
    places, kept = coordinates(before), coordinates(after)
    if places is None:
        yield from (_not_carried(name) for name in PLACE if name in names_of(before) and name not in names_of(after))
    elif kept is None:
        yield _not_carried("places on the micrograph")
    else:
        yield _values("places on the micrograph", SINGLE, places, kept)


def _field_fate(name: str, before: np.ndarray, after: np.ndarray) -> ColumnFate:
    if name not in names_of(after):
        return _not_carried(name)
    if name == POSE:
        vectors = (torch.from_numpy(records[POSE].astype(np.float64)) for records in (before, after))
        return _rotations(name, SINGLE, *map(rotvec_to_matrix, vectors))
    if name == SHIFT:
        return _values(f"{name} (Å)", SINGLE, origins(before), origins(after))
    if name == "blob/psize_A":
        return _values(name, SINGLE, image_pixels(before), after[name])
    return _values(name, SINGLE, before[name], after[name])


def _not_carried(field: str) -> ColumnFate:
    return ColumnFate(field, "not carried", REASONS.get(field, "a STAR file has no such column"))


def _unset_as_zero(table: pd.DataFrame) -> pd.DataFrame:
    """The table with poses that are no numbers as programs write those that are not there: all 0."""
    origins = ORIGINS_A if set(ORIGINS_A) <= set(table) else ORIGINS_PX
    angles, shifts = ([label for label in labels if label in table] for labels in (ANGLES, origins))
    known = np.hstack(unset_as_zero(table[angles].to_numpy(float), table[shifts].to_numpy(float)))
    return table.assign(**dict(zip((*angles, *shifts), known.T, strict=True)))


def _unset_fields_as_zero(records: np.ndarray) -> np.ndarray:
    """The same of records."""
    if not {POSE, SHIFT} <= set(names_of(records)):
        return records
    known = has_pose(records)[:, None]
    return with_fields(records, {field: np.where(known, records[field], 0) for field in (POSE, SHIFT)})


def _add_origins(table: pd.DataFrame, pixel_size: Float[np.ndarray, " n"]) -> None:
    """Add the origins in A where they are in pixels, and in pixels where they are in A."""
    for pixels, angstroms in zip(ORIGINS_PX, ORIGINS_A, strict=True):
        if pixels not in table and angstroms in table:
            table[pixels] = table[angstroms].to_numpy(float) / pixel_size
        elif angstroms not in table and pixels in table:
            table[angstroms] = table[pixels].to_numpy(float) * pixel_size


def _images(name: str, source: ParticleFile, written: ParticleFile) -> ColumnFate:
    """Whether the names lead to the same places; files that are not there are known by their names."""
    before, after = (np.asarray(_places(each))[each.names.name_index] for each in (source, written))
    same = bool((before == after).all() and (source.names.section == written.names.section).all())
    return ColumnFate(name, "exact" if same else "changed", "the same images" if same else "other images")


def _places(particles: ParticleFile) -> list[str]:
    pairs = zip(particles.files, particles.names.names, strict=True)
    return [str(file.resolve()) if is_file(file) else name for file, name in pairs]


def _rotations(
    name: str, precision: float, before: Float[torch.Tensor, "n 3 3"], after: Float[torch.Tensor, "n 3 3"]
) -> ColumnFate:
    largest = float(angular_distance(before, after).max())
    return _judged(name, largest, ROTATION_DEG[precision], " degrees, as rotations")


def _values(name: str, precision: float, before: np.ndarray, after: np.ndarray) -> ColumnFate:
    """Fate of a column of numbers or text."""
    if name in GROUPS:
        mixed = pd.Series(before).groupby(after).nunique(dropna=False).max() > 1
        return ColumnFate(name, "changed" if mixed else "exact", "groups were mixed" if mixed else "the same groups")
    if before.dtype.kind in "iufb" and after.dtype.kind in "iufb":
        if before.dtype.kind in "iu" and after.dtype.kind in "iu":
            return _judged(name, float((before != after).any()), 0.0, "")
        numbers = before.astype(np.float64), after.astype(np.float64)
        same_gaps = (np.isnan(numbers[0]) == np.isnan(numbers[1])).all()
        largest = float(np.nanmax(np.abs(numbers[0] - numbers[1]), initial=0.0)) if same_gaps else np.inf
        allowed = precision * float(np.nanmax(np.abs(numbers[0]), initial=0.0)) + UNDERFLOW
        return _judged(name, largest, allowed, "")
    return _judged(name, float((_plain_texts(before) != _plain_texts(after)).any()), 0.0, "")


def _judged(name: str, largest: float, allowed: float, unit: str) -> ColumnFate:
    if largest == 0:
        return ColumnFate(name, "exact", "")
    remark = f"differs by at most {largest:.2g}{unit}"
    return ColumnFate(name, "rounded" if largest <= allowed else "changed", remark)


def _plain_texts(values: np.ndarray) -> np.ndarray:
    """Texts without cryoSPARC's mark of its project folder; no name is ``None``, as in RELION."""
    texts = (each.decode(errors="replace") if isinstance(each, bytes) else str(each) for each in values.tolist())
    return np.array([plain_path(text) or "None" for text in texts], dtype=object)
