"""From RELION's labels to the records of a ``.cs`` file, in cryoSPARC's units and signs; the way back is ``cryosparc``.

The layout is that of particles imported into cryoSPARC: ``uid``, ``blob``, ``ctf``, ``alignments3D`` where there are
poses, and the micrograph's name. Numbers are single precision there. Aberrations are written as none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from cryorbit.core.data import Poses
from cryorbit.core.errors import InputError
from cryorbit.io import relion
from cryorbit.io.cryosparc import CTF_LABELS, OPTICS_LABELS, with_fields
from cryorbit.io.relion import RelionTables

UID = "cryosparcUid"
"""Label under which a STAR file keeps the ``uid`` of particles that came from a ``.cs`` file."""
NO_ABERRATION = {"ctf/shift_A": 2, "ctf/tilt_A": 2, "ctf/trefoil_A": 2, "ctf/tetra_A": 4, "ctf/anisomag": 4}
"""Fields that cryoSPARC wants to be there, and how many numbers they hold; all 0 without aberrations."""
DEFAULTS = {"rlnPhaseShift": 0.0, "rlnCtfBfactor": 0.0, "rlnCtfScalefactor": 1.0}


def cs_records(
    tables: RelionTables, names: Sequence[str], section: Int[np.ndarray, " n"], box: Int[np.ndarray, " n"]
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
        "ctf/exp_group_id": tables.numbers("rlnOpticsGroup", 1.0).astype(np.uint32),
        **_ctf_fields(tables),
        "ctf/scale_const": np.zeros(len(section), single),
        **{name: np.zeros((len(section), size), single) for name, size in NO_ABERRATION.items()},
        **alignment_fields(tables),
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
            mend="give the .cs file that the particles were converted from",
        )
    return with_fields(original[rows], {**_ctf_fields(tables), **alignment_fields(tables)})


def alignment_fields(tables: RelionTables) -> dict[str, np.ndarray]:
    """The fields of ``alignments3D`` that the tables tell; shifts in pixels of the images."""
    fields: dict[str, np.ndarray] = {}
    sizes = relion.pixel_sizes(tables)
    poses = relion.poses(tables, sizes)
    if poses is not None:
        fields |= pose_fields(poses, sizes)
    for label, field in {"rlnClassNumber": "class", "rlnRandomSubset": "split"}.items():
        numbers = tables.numbers(label, 0.0)
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


def _uids(tables: RelionTables, made: bool = True) -> Int[np.ndarray, " n"]:
    """The uid of each particle as it came, or one made from its image name, the same every time."""
    if UID in tables.particles:
        return tables.particles[UID].astype(np.uint64).to_numpy()
    if not made:
        raise InputError(
            f"there is no column {UID}, by which particles are found in the original .cs file",
            file=tables.file,
            mend="leave --original out, or convert the .cs file anew and keep that column",
        )
    names = tables.particles["rlnImageName"].astype(str)
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names]
    return np.frombuffer(b"".join(digests), dtype="<u8")
