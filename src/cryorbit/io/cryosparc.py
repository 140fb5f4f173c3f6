"""cryoSPARC's records, structured numpy arrays, in RELION's labels; on disk they are read by ``cryosparc_files``.

Conventions: a rotation vector is the transpose of RELION's matrix. ``alignments3D/shift`` is in pixels of
``alignments3D/psize_A``, which need not be the pixels of the images, and has the sign of RELION's origin: the
displacement that centres the image. ``ctf/shift_A``, by which the optics shifted the image, is taken out of it. Angles
are radians; stack index, class and half-set count from 0. ``blob/sign`` is the factor that makes protein white. Places
on a micrograph are parts of its sides.

What was never set is 0: a half-set that is 0 throughout, and the size of the pixels of shifts. A class of -1 is none.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float

from cryorbit.geometry.rotations import matrix_to_euler, rotvec_to_matrix

COORDINATES = ("rlnCoordinateX", "rlnCoordinateY")
_DEGREES = 180.0 / np.pi
MOST_TURN_RAD = 20 * np.pi
"""Radians of a rotation vector, ten turns."""
NEEDED_IMAGES = ("blob/path", "blob/idx", "blob/psize_A", "blob/shape")
NEEDED_CTF = ("ctf/df1_A", "ctf/df2_A", "ctf/df_angle_rad", "ctf/accel_kv", "ctf/cs_mm", "ctf/amp_contrast")
CTF_LABELS = {
    "rlnDefocusU": ("ctf/df1_A", 1.0),
    "rlnDefocusV": ("ctf/df2_A", 1.0),
    "rlnDefocusAngle": ("ctf/df_angle_rad", _DEGREES),
    "rlnPhaseShift": ("ctf/phase_shift_rad", _DEGREES),
    "rlnCtfBfactor": ("ctf/bfactor", 1.0),
    "rlnCtfScalefactor": ("ctf/scale", 1.0),
}
OPTICS_LABELS = {
    "rlnVoltage": "ctf/accel_kv",
    "rlnSphericalAberration": "ctf/cs_mm",
    "rlnAmplitudeContrast": "ctf/amp_contrast",
    "rlnImagePixelSize": "blob/psize_A",
}
CENTRE = ("location/center_x_frac", "location/center_y_frac")
MICROGRAPH_PIXEL = "location/micrograph_psize_A"
COORDINATE = "cryorbit/coordinate_px"
"""Field of coordinates ``(x, y)`` from a STAR file whose micrographs have no known size, pixels; cryoSPARC, which
counts in parts of it, passes the field over."""
FILAMENT = "filament/filament_uid"
OPTICS_SHIFT = "ctf/shift_A"
ABERRATIONS = ("ctf/tilt_A", "ctf/trefoil_A", "ctf/tetra_A", "ctf/anisomag")
"""Aberrations, which are handed on and not corrected for."""
USED = {
    **dict.fromkeys(("ctf/tilt_A", "ctf/trefoil_A", OPTICS_SHIFT), ("f", (2,))),
    **dict.fromkeys(("ctf/tetra_A", "ctf/anisomag"), ("f", (4,))),
    **dict.fromkeys(
        (*NEEDED_IMAGES, *NEEDED_CTF, *OPTICS_LABELS.values(), *(field for field, _ in CTF_LABELS.values())),
        ("iuf", ()),
    ),
    **dict.fromkeys(("blob/path", "location/micrograph_path"), ("SU", ())),
    **dict.fromkeys(("uid", "blob/idx", "alignments3D/class", "alignments3D/split", FILAMENT), ("iu", ())),
    "blob/shape": ("iu", (2,)),
    "alignments3D/pose": ("f", (3,)),
    "alignments3D/shift": ("f", (2,)),
    "location/micrograph_shape": ("iu", (2,)),
    COORDINATE: ("f", (2,)),
    **dict.fromkeys(("blob/sign", "alignments3D/psize_A", "ctf/exp_group_id", *CENTRE, MICROGRAPH_PIXEL), ("iuf", ())),
}
"""Kinds (as numpy's ``dtype.kind``) and shapes of the fields that are used; all others are only handed on."""


def names_of(records: np.ndarray) -> tuple[str, ...]:
    """Names of the fields; none for an array that is not of records."""
    return records.dtype.names or ()


def with_fields(records: np.ndarray, fields: dict[str, np.ndarray]) -> np.ndarray:
    """The records with ``fields`` replaced, place and type of number kept, or added at the end."""
    types = {name: (records[name].dtype, records[name].shape[1:]) for name in names_of(records)}
    for name, values in fields.items():
        if name not in types or values.dtype.kind == "S":
            types[name] = (values.dtype, values.shape[1:])
    result = np.empty(len(records), dtype=[(name, kind.str, shape) for name, (kind, shape) in types.items()])
    for name in names_of(records):
        result[name] = records[name]
    for name, values in fields.items():
        result[name] = values
    return result


def realigned(records: np.ndarray, fields: dict[str, np.ndarray]) -> np.ndarray:
    """The records with ``fields`` replaced; a shift that is replaced holds that of the optics, too."""
    if "alignments3D/shift" in fields and OPTICS_SHIFT in names_of(records):
        fields = {**fields, OPTICS_SHIFT: np.zeros((len(records), 2), np.float32)}
    return with_fields(records, fields)


@np.errstate(invalid="ignore")  # values that are not numbers are named by the checks, with their rows
def star_tables(records: np.ndarray) -> dict[str, pd.DataFrame]:
    """The records as RELION's tables ``optics`` and ``particles``, in RELION's units and signs."""
    optics_row, optics = _optics(records)
    columns: dict[str, list[str] | np.ndarray] = {
        "rlnImageName": [
            f"{index + 1:06d}@{path}"
            for index, path in zip(records["blob/idx"].tolist(), paths(records, "blob/path"), strict=True)
        ],
        "rlnOpticsGroup": optics_row + 1,
    }
    names = names_of(records)
    if "location/micrograph_path" in names:
        columns["rlnMicrographName"] = [path or "None" for path in paths(records, "location/micrograph_path")]
    places = coordinates(records)
    if places is not None:
        columns.update(zip(COORDINATES, places.T, strict=True))
    if MICROGRAPH_PIXEL in names:
        columns["rlnMicrographOriginalPixelSize"] = _as_meant(records[MICROGRAPH_PIXEL])
    if FILAMENT in names and records[FILAMENT].any():
        columns["rlnHelicalTubeID"] = np.unique(records[FILAMENT], return_inverse=True)[1] + 1
    for label, (field, factor) in CTF_LABELS.items():
        if field in names:
            columns[label] = factor * records[field].astype(np.float64)
    return {"optics": optics, "particles": pd.DataFrame({**columns, **_alignment(records)})}


def image_pixels(records: np.ndarray) -> Float[np.ndarray, " n"]:
    """Size of the images' pixels, A, of the precision of the field: where it was never set, that of all others.

    0 stays where the others have several, or none has one.
    """
    stated: Float[np.ndarray, " n"] = records["blob/psize_A"]
    others = np.unique(stated[stated != 0])
    return np.where(stated == 0, others[0], stated) if len(others) == 1 else stated


def shift_pixels(records: np.ndarray) -> Float[np.ndarray, " n"]:
    """Size of the pixels that shifts are counted in, A: that of the images' pixels where none was ever set."""
    images = image_pixels(records).astype(np.float64)
    if "alignments3D/psize_A" not in names_of(records):
        return images
    stated = records["alignments3D/psize_A"].astype(np.float64)
    return np.where(np.isfinite(stated) & (stated > 0), stated, images)


def origins(records: np.ndarray) -> Float[np.ndarray, "n 2"]:
    """Displacements that centre the images, A: the shifts of the alignment less those of the optics, where it has any.

    The sign is that of other readers of these files.
    """
    shifts: Float[np.ndarray, "n 2"] = records["alignments3D/shift"].astype(np.float64) * shift_pixels(records)[:, None]
    if OPTICS_SHIFT not in names_of(records):
        return shifts
    return shifts - np.nan_to_num(records[OPTICS_SHIFT].astype(np.float64))


def has_pose(records: np.ndarray) -> Bool[np.ndarray, " n"]:
    """Mask of the particles whose rotation and shift are numbers; what a rotation of many turns means, rounding ate."""
    vectors, shifts = (records[field].astype(np.float64) for field in ("alignments3D/pose", "alignments3D/shift"))
    known: Bool[np.ndarray, " n"] = np.linalg.norm(vectors, axis=1) <= MOST_TURN_RAD
    return known & np.isfinite(shifts).all(1)


def coordinates(records: np.ndarray) -> Float[np.ndarray, "n 2"] | None:
    """Places ``(x, y)`` of the particles on their micrographs, pixels; None where they are not known."""
    names = names_of(records)
    if {*CENTRE, "location/micrograph_shape"} <= set(names):
        parts = np.stack([records[field].astype(np.float64) for field in CENTRE], axis=1)
        places: Float[np.ndarray, "n 2"] = parts * records["location/micrograph_shape"][:, ::-1]
        return places
    return records[COORDINATE].astype(np.float64) if COORDINATE in names else None


def _alignment(records: np.ndarray) -> dict[str, np.ndarray]:
    """Poses, classes and half-sets of ``alignments3D`` as columns."""
    names = names_of(records)
    columns: dict[str, np.ndarray] = {}
    if {"alignments3D/pose", "alignments3D/shift"} <= set(names):
        vectors = torch.from_numpy(records["alignments3D/pose"].astype(np.float64))
        vectors[~torch.from_numpy(has_pose(records))] = math.nan
        angles = matrix_to_euler(rotvec_to_matrix(vectors).mT).numpy()
        labels = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst")
        columns.update(zip(labels, np.concatenate([angles, origins(records)], axis=1).T, strict=True))
    if "alignments3D/class" in names:
        columns["rlnClassNumber"] = _counted_from_1(records["alignments3D/class"])
    if "alignments3D/split" in names and records["alignments3D/split"].any():
        columns["rlnRandomSubset"] = _counted_from_1(records["alignments3D/split"])
    return columns


def _counted_from_1(values: np.ndarray) -> np.ndarray:
    """Numbers from 1 of those from 0; 0 for -1, which an unsigned field holds as its largest number."""
    unset = values == np.iinfo(values.dtype).max if values.dtype.kind == "u" else values < 0
    return np.where(unset, 0, values.astype(np.int64) + 1)


def _optics(records: np.ndarray) -> tuple[np.ndarray, pd.DataFrame]:
    """Row of each particle in the table of optics groups, and that table; a group has one microscope and one box."""
    names = names_of(records)
    stated = {label: _as_meant(records[field]) for label, field in OPTICS_LABELS.items() if field in names}
    stated["rlnImagePixelSize"] = _as_meant(image_pixels(records))
    table = pd.DataFrame(stated).assign(rlnImageSize=records["blob/shape"][:, 0].astype(np.int64))
    group = records["ctf/exp_group_id"] if "ctf/exp_group_id" in names else np.zeros(len(records), np.int64)
    row = table.assign(group=group).groupby(["group", *table.columns], dropna=False, sort=True).ngroup().to_numpy()
    optics = table.iloc[np.unique(row, return_index=True)[1]].reset_index(drop=True)
    numbers = np.arange(1, len(optics) + 1)
    optics.insert(0, "rlnOpticsGroup", numbers)
    optics.insert(0, "rlnOpticsGroupName", [f"opticsGroup{number}" for number in numbers])
    optics["rlnImageDimensionality"] = 2
    return row, optics


def _as_meant(values: np.ndarray) -> Float[np.ndarray, " n"]:
    """Values in double precision; of fewer digits the shortest (1.06, not 1.059999943) are what was meant."""
    distinct, inverse = np.unique(values, return_inverse=True)
    return distinct.astype(str).astype(np.float64)[inverse]


def texts(records: np.ndarray, field: str) -> list[str]:
    """Text of a field, whichever of numpy's two kinds it is stored as."""
    values = records[field].tolist()
    return [value.decode(errors="replace") if isinstance(value, bytes) else value for value in values]


def paths(records: np.ndarray, field: str) -> list[str]:
    """Paths of a field, plain."""
    index, distinct = pd.factorize(np.array(texts(records, field), dtype=object))
    # many particles share a file
    plain = [plain_path(text) for text in distinct]
    return [plain[number] for number in index.tolist()]


def plain_path(text: str) -> str:
    """A path without what is no part of it: the mark ``>`` of the project's folder, blanks that pad a field."""
    return text.strip().lstrip(">").lstrip()
