"""From RELION's labels to the records of a ``.cs`` file, in cryoSPARC's units and signs; the way back is ``cryosparc``.

The layout is that of particles imported into cryoSPARC: ``uid``, ``blob``, ``ctf``, ``alignments3D`` where there are
poses, and the micrograph's name. Numbers are single precision there. Aberrations are written as none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt
from scipy.spatial.transform import Rotation

from cryorbit.core.data import Poses
from cryorbit.core.errors import InputError
from cryorbit.io import relion
from cryorbit.io.cryosparc import (
    CENTRE,
    COORDINATE,
    COORDINATES,
    CTF_LABELS,
    OPTICS_LABELS,
    OPTICS_SHIFT,
    realigned,
    with_fields,
)
from cryorbit.io.particle_tables import UID
from cryorbit.io.relion import RelionTables

NO_ABERRATION = {OPTICS_SHIFT: 2, "ctf/tilt_A": 2, "ctf/trefoil_A": 2, "ctf/tetra_A": 4, "ctf/anisomag": 4}
"""Fields that cryoSPARC wants to be there, and how many numbers they hold; all 0 without aberrations."""
DEFAULTS = {"rlnPhaseShift": 0.0, "rlnCtfBfactor": 0.0, "rlnCtfScalefactor": 1.0}


def cs_records(
    tables: RelionTables,
    names: Sequence[str],
    section: Int[np.ndarray, " n"],
    box: Int[np.ndarray, " n"],
    micrograph_shape: Int[np.ndarray, "n 2"] | None = None,
) -> np.ndarray:
    """Records of the particles of a STAR file.

    Parameters
    ----------
    tables
        The particles and their optics.
    names
        Name of the stack of each particle.
    section
        Place in the stack, from 0.
    box
        Side of the images, pixels.
    micrograph_shape
        Rows and columns of each particle's micrograph, pixels, of which cryoSPARC's places are parts. None: coordinates
        are kept in a field of our own.
    """
    single = np.float32
    fields: dict[str, np.ndarray] = {
        "uid": _uids(tables),
        "blob/path": np.char.encode(np.asarray(names, dtype=np.str_), "utf-8"),
        "blob/idx": section.astype(np.uint32),
        "blob/shape": np.stack([box, box], axis=1).astype(np.uint32),
        "blob/psize_A": relion.pixel_sizes(tables).astype(single),
        "blob/sign": np.ones(len(section), single),
        "ctf/type": np.full(len(section), b"imported"),
        "ctf/exp_group_id": tables.integers("rlnOpticsGroup", 1).astype(np.uint32),
        **_ctf_fields(tables),
        "ctf/scale_const": np.zeros(len(section), single),
        **{name: np.zeros((len(section), size), single) for name, size in NO_ABERRATION.items()},
        **alignment_fields(tables),
        **_place_fields(tables, micrograph_shape),
    }
    if "rlnMicrographName" in tables.particles:
        paths = tables.particles["rlnMicrographName"].astype(str).to_numpy(dtype=np.str_)
        fields["location/micrograph_path"] = np.char.encode(paths, "utf-8")
    return with_fields(np.empty(len(section), dtype=[]), fields)


def updated_records(original: np.ndarray, tables: RelionTables) -> np.ndarray:
    """The records of ``original`` that the tables name by ``UID``, in their order, with the tables' CTFs and poses.

    Raises
    ------
    InputError
        The tables have no uid, or one that ``original`` has not.
    """
    rows = pd.Index(original["uid"]).get_indexer(_uids(tables, made=False))
    if (rows < 0).any():
        raise InputError(
            "the particle is not in the original .cs file",
            file=tables.file,
            row=int(np.argmax(rows < 0)) + 1,
            fix="give the .cs file that the particles were converted from",
        )
    return realigned(original[rows], {**_ctf_fields(tables), **alignment_fields(tables)})


def alignment_fields(tables: RelionTables) -> dict[str, np.ndarray]:
    """The fields of ``alignments3D`` that the tables tell; shifts in pixels of the images."""
    fields: dict[str, np.ndarray] = {}
    sizes = relion.pixel_sizes(tables)
    poses = relion.poses(tables, sizes)
    if poses is not None:
        fields |= pose_fields(poses, sizes)
    for label, field in {"rlnClassNumber": "class", "rlnRandomSubset": "split"}.items():
        numbers = tables.integers(label, 0, unset=0)
        # counted from 1 in STAR files, where 0 means none, which a .cs file cannot say
        if (numbers >= 1).all():
            fields[f"alignments3D/{field}"] = (numbers - 1).astype(np.uint32)
    return fields


def pose_fields(poses: Poses, pixel_size: Float[np.ndarray, " n"] | float) -> dict[str, np.ndarray]:
    """Poses as rotation vectors, and shifts in pixels with the size of those pixels, A."""
    rotations = poses.rotations.double().mT.cpu().numpy()
    return {
        "alignments3D/pose": Rotation.from_matrix(rotations).as_rotvec().astype(np.float32),
        "alignments3D/shift": poses.shifts.cpu().numpy().astype(np.float32),
        "alignments3D/psize_A": np.broadcast_to(pixel_size, len(rotations)).astype(np.float32),
    }


def _ctf_fields(tables: RelionTables) -> dict[str, np.ndarray]:
    microscope = {field: tables.numbers(label) for label, field in OPTICS_LABELS.items() if field.startswith("ctf/")}
    particle = {
        field: tables.numbers(label, DEFAULTS.get(label)) / factor for label, (field, factor) in CTF_LABELS.items()
    }
    return {name: values.astype(np.float32) for name, values in {**microscope, **particle}.items()}


def _place_fields(tables: RelionTables, shape: Int[np.ndarray, "n 2"] | None) -> dict[str, np.ndarray]:
    """Coordinates as parts of the micrograph, or in pixels where its shape is not known; none without coordinates."""
    if not all(label in tables.particles for label in COORDINATES):
        return {}
    places = np.stack([tables.numbers(label) for label in COORDINATES], axis=1)
    if shape is None:
        return {COORDINATE: places.astype(np.float32)}
    parts = (places / shape[:, ::-1]).astype(np.float32)
    return {"location/micrograph_shape": shape.astype(np.uint32), **dict(zip(CENTRE, parts.T, strict=True))}


def _stated_uids(tables: RelionTables) -> UInt[np.ndarray, " n"]:
    """The uids of the table, which are too long for anything but text."""
    texts = tables.particles[UID].astype(str)
    is_uid = texts.str.fullmatch(r"[0-9]{1,20}") & (texts.str.len().lt(20) | texts.le(str(2**64 - 1)))
    if not is_uid.all():
        row = int(np.argmin(is_uid.to_numpy(dtype=bool)))
        raise InputError(
            f"{UID} is {texts.iloc[row]}, which is not a uid",
            file=tables.file,
            row=int(tables.particles.index[row]) + 1,
            fix=f"correct the value, or remove the column {UID}: new ones are made then",
        )
    return np.array([int(text) for text in texts], dtype=np.uint64)


def _uids(tables: RelionTables, made: bool = True) -> UInt[np.ndarray, " n"]:
    """The uid of each particle as it came, or one made from its image name, the same every time."""
    if UID in tables.particles:
        return _stated_uids(tables)
    if not made:
        raise InputError(
            f"there is no column {UID}, by which particles are found in the original .cs file",
            file=tables.file,
            fix="leave --original out, or convert the .cs file again and keep that column",
        )
    names = tables.particles["rlnImageName"].astype(str)
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names]
    return np.frombuffer(b"".join(digests), dtype="<u8")
