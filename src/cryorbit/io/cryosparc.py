"""cryoSPARC's ``.cs`` files: structured numpy arrays, read into RELION's labels and written back with all their fields.

Conventions: a rotation vector is the transpose of RELION's matrix. ``alignments3D/shift`` is in pixels of
``alignments3D/psize_A``, which need not be the pixels of the images, and has the sign of RELION's origin: the
displacement that centres the image. Angles are radians; stack index, class and half-set count from 0.
``blob/sign`` is the factor that makes protein white.
"""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch

from cryorbit.core.errors import InputError
from cryorbit.geometry.rotations import matrix_to_euler, rotvec_to_matrix

_DEGREES = 180.0 / np.pi
NEEDED = (
    *("blob/path", "blob/idx", "blob/psize_A", "blob/shape"),
    *("ctf/df1_A", "ctf/df2_A", "ctf/df_angle_rad", "ctf/accel_kv", "ctf/cs_mm", "ctf/amp_contrast"),
)
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
USED = {
    **dict.fromkeys((*NEEDED, *OPTICS_LABELS.values(), *(field for field, _ in CTF_LABELS.values())), ("iuf", ())),
    **dict.fromkeys(("blob/path", "location/micrograph_path"), ("SU", ())),
    **dict.fromkeys(("uid", "blob/idx", "alignments3D/class", "alignments3D/split"), ("iu", ())),
    "blob/shape": ("iu", (2,)),
    "alignments3D/pose": ("f", (3,)),
    "alignments3D/shift": ("f", (2,)),
    **dict.fromkeys(("blob/sign", "alignments3D/psize_A", "ctf/exp_group_id"), ("iuf", ())),
}
"""Kinds (as numpy's ``dtype.kind``) and shapes of the fields that are used; all others are only handed on."""
_GIVE_CS = "give the particles .cs file of a cryoSPARC job"
_DAMAGED = (ValueError, TypeError, EOFError, SyntaxError, TokenError, OverflowError, MemoryError, BadZipFile)
"""What numpy raises on files that are not arrays."""


def read_cs(path: Path | str, passthrough: Path | str | None = None) -> np.ndarray:
    """The records of a ``.cs`` file, with the fields that only its passthrough file has, joined on ``uid``.

    Parameters
    ----------
    path
        The file of the job's own results.
    passthrough
        The file of the fields handed through; without it, ``*_passthrough_particles*.cs`` beside ``path`` that has all
        the particles is taken.

    Raises
    ------
    InputError
        A file is not a ``.cs`` file, lacks particles, or both together lack image or CTF fields.
    """
    file = Path(path)
    records = _load(file)
    for other in [Path(passthrough)] if passthrough is not None else _passthroughs(file):
        joined = _join(records, _load(other))
        if joined is not None:
            records = joined
            break
        if passthrough is not None:
            raise InputError(
                f"particles of {file.name} are missing", file=other, mend="give the passthrough file of the same job"
            )
    missing = [name for name in NEEDED if name not in names_of(records)]
    if missing:
        raise InputError(
            f"there is no field {missing[0]} ({len(missing)} of {len(NEEDED)} needed fields are missing)",
            file=file,
            mend="give the passthrough file of the job too, or put it beside this one",
        )
    return records


def names_of(records: np.ndarray) -> tuple[str, ...]:
    """Names of the fields; none for an array that is not of records."""
    return records.dtype.names or ()


def write_cs(path: Path, records: np.ndarray) -> None:
    """Write records as a ``.cs`` file to a path that is not yet in use."""
    with path.open("wb") as file:
        np.save(file, records, allow_pickle=False)


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


def star_tables(records: np.ndarray) -> dict[str, pd.DataFrame]:
    """The records as RELION's tables ``optics`` and ``particles``, in RELION's units and signs."""
    optics_row, optics = _optics(records)
    columns = {
        "rlnImageName": [
            f"{index + 1:06d}@{path.lstrip('>')}"
            for index, path in zip(records["blob/idx"].tolist(), _texts(records, "blob/path"), strict=True)
        ],
        "rlnOpticsGroup": optics_row + 1,
    }
    names = names_of(records)
    if "location/micrograph_path" in names:
        columns["rlnMicrographName"] = [
            name.lstrip(">") or "None" for name in _texts(records, "location/micrograph_path")
        ]
    for label, (field, factor) in CTF_LABELS.items():
        if field in names:
            columns[label] = factor * records[field].astype(np.float64)
    return {"optics": optics, "particles": pd.DataFrame({**columns, **_alignment(records)})}


def _alignment(records: np.ndarray) -> dict[str, np.ndarray]:
    """Poses, classes and half-sets of ``alignments3D`` as columns."""
    names = names_of(records)
    columns: dict[str, np.ndarray] = {}
    if {"alignments3D/pose", "alignments3D/shift", "alignments3D/psize_A"} <= set(names):
        vectors = torch.from_numpy(records["alignments3D/pose"].astype(np.float64))
        angles = matrix_to_euler(rotvec_to_matrix(vectors).mT).numpy()
        origins = records["alignments3D/shift"].astype(np.float64) * records["alignments3D/psize_A"][:, None]
        labels = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst")
        columns.update(zip(labels, np.concatenate([angles, origins], axis=1).T, strict=True))
    for label, field in {"rlnClassNumber": "class", "rlnRandomSubset": "split"}.items():
        if f"alignments3D/{field}" in names:
            columns[label] = records[f"alignments3D/{field}"].astype(np.int64) + 1
    return columns


def _optics(records: np.ndarray) -> tuple[np.ndarray, pd.DataFrame]:
    """Row of each particle in the table of optics groups, and that table; a group has one microscope and one box."""
    table = pd.DataFrame({label: records[field] for label, field in OPTICS_LABELS.items()})
    table["rlnImageSize"] = records["blob/shape"][:, 0].astype(np.int64)
    names = names_of(records)
    group = records["ctf/exp_group_id"] if "ctf/exp_group_id" in names else np.zeros(len(records), np.int64)
    row = table.assign(group=group).groupby(["group", *table.columns], dropna=False, sort=True).ngroup().to_numpy()
    optics = table.iloc[np.unique(row, return_index=True)[1]].reset_index(drop=True)
    # single precision in the file: its shortest digits (1.06, not 1.059999943) are what was meant
    optics = optics.astype(dict.fromkeys(OPTICS_LABELS, str)).astype(dict.fromkeys(OPTICS_LABELS, float))
    numbers = np.arange(1, len(optics) + 1)
    optics.insert(0, "rlnOpticsGroup", numbers)
    optics.insert(0, "rlnOpticsGroupName", [f"opticsGroup{number}" for number in numbers])
    optics["rlnImageDimensionality"] = 2
    return row, optics


def _load(file: Path) -> np.ndarray:
    try:
        with file.open("rb") as handle:
            records = np.load(handle, allow_pickle=False)
    except OSError as error:
        raise InputError(
            f"the file cannot be read ({error.strerror or error})", file=file, mend="check the name and the permissions"
        ) from error
    except _DAMAGED as error:
        raise InputError(f"this is no .cs file ({error})", file=file, mend=_GIVE_CS) from error
    names = names_of(records) if isinstance(records, np.ndarray) else ()
    if "uid" not in names or records.ndim != 1 or not len(records):
        raise InputError("this is no .cs file of particles (no records with a uid)", file=file, mend=_GIVE_CS)
    _check_types(records, file)
    if len(np.unique(records["uid"])) < len(records):
        raise InputError("a uid occurs twice", file=file, mend="remove duplicate particles in cryoSPARC")
    return records


def _check_types(records: np.ndarray, file: Path) -> None:
    for name in set(names_of(records)) & USED.keys():
        kinds, shape = USED[name]
        if records[name].dtype.kind not in kinds or records[name].shape[1:] != shape:
            raise InputError(f"the field {name} is not of the expected type", file=file, mend=_GIVE_CS)
        if "S" in kinds and not all(map(str.isprintable, _texts(records, name))):
            raise InputError(f"a name in the field {name} is damaged", file=file, mend="copy or export the file again")


def _passthroughs(file: Path) -> list[Path]:
    if "passthrough" in file.name:
        return []
    return sorted(other for other in file.absolute().parent.glob("*_passthrough_particles*.cs"))


def _join(records: np.ndarray, others: np.ndarray) -> np.ndarray | None:
    """``records`` with the fields that only ``others`` has; None when a particle is not there."""
    rows = pd.Index(others["uid"]).get_indexer(records["uid"])
    if (rows < 0).any():
        return None
    extra = {name: others[name][rows] for name in names_of(others) if name not in names_of(records)}
    return with_fields(records, extra)


def _texts(records: np.ndarray, field: str) -> list[str]:
    values = records[field].tolist()
    return [value.decode(errors="replace") if isinstance(value, bytes) else value for value in values]
