"""A set of particles: what the table says of them, and their images, read when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from cryorbit.core.data import CTFParams, Poses
from cryorbit.core.errors import InputError
from cryorbit.io import relion
from cryorbit.io.cryosparc import names_of, read_cs, star_tables
from cryorbit.io.destinations import require_usable_path
from cryorbit.io.image_paths import ImageNames, locate, parse_image_names
from cryorbit.io.image_stack import ImageStack
from cryorbit.io.mrc import read_header
from cryorbit.io.star import read_star


@dataclass(frozen=True, slots=True)
class Particles:
    """N particles.

    Attributes
    ----------
    source
        The STAR or ``.cs`` file.
    table
        A row a particle, every column of the file, RELION's labels (translated when the file was ``.cs``). The index
        is the row in the file, from 0, and stays with the particle in a subset.
    optics
        The optics groups, or None in files of RELION 3.0 and older.
    records
        The records of the ``.cs`` file and its passthrough, all fields, or None.
    ctf
        CTF parameters, float64.
    poses
        Poses, shifts in pixels, float64; None when the file has none.
    half_sets
        1 or 2 for each particle, or None.
    group
        Number from 0 of the micrograph (or the like) that must not be split over half-sets, or None.
    images
        The images, of side ``box`` pixels.
    pixel_size
        A.
    premultiplied
        Whether the images were multiplied with their CTF.
    """

    source: Path
    table: pd.DataFrame
    optics: pd.DataFrame | None
    records: np.ndarray | None
    ctf: CTFParams
    poses: Poses | None
    half_sets: Int[Tensor, " n"] | None
    group: Int[Tensor, " n"] | None
    images: ImageStack
    pixel_size: float
    premultiplied: bool

    def __len__(self) -> int:
        """Number of particles."""
        return len(self.table)

    @property
    def box(self) -> int:
        """Side of the images, pixels."""
        return self.images.box

    @property
    def rows(self) -> Int[np.ndarray, " n"]:
        """Row of each particle in its file, from 1."""
        return self.table.index.to_numpy(dtype=np.int64) + 1

    def subset(self, indices: Int[Tensor, " m"] | Int[np.ndarray, " m"] | Bool[Tensor, " n"]) -> Particles:
        """The particles at ``indices``, in that order; a mask is taken as the indices where it is true."""
        chosen = torch.as_tensor(indices).cpu()
        chosen = torch.nonzero(chosen)[:, 0] if chosen.dtype == torch.bool else chosen.long()
        where = chosen.numpy()
        return Particles(
            source=self.source,
            table=self.table.iloc[where],
            optics=self.optics,
            records=None if self.records is None else self.records[where],
            ctf=self.ctf[chosen],
            poses=None if self.poses is None else self.poses[chosen],
            half_sets=None if self.half_sets is None else self.half_sets[chosen],
            group=None if self.group is None else self.group[chosen],
            images=self.images.subset(where),
            pixel_size=self.pixel_size,
            premultiplied=self.premultiplied,
        )


def read_particles(
    path: Path | str, data_dir: Path | str | None = None, passthrough: Path | str | None = None
) -> Particles:
    """Read a particle set; images are not touched, and may be missing when the table states their size.

    Parameters
    ----------
    path
        STAR file of RELION (any version), or ``.cs`` file of cryoSPARC.
    data_dir
        Folder in which relative image names are looked for first; after it come the folder of ``path``, three
        parents of that, and the current folder. ``.mrc`` and ``.mrcs`` stand in for each other.
    passthrough
        The passthrough file of a ``.cs`` file; found beside it when not given.

    Raises
    ------
    InputError
        The file is damaged, lacks what is needed, or mixes pixel sizes or boxes.
    """
    file = Path(path)
    require_usable_path(file)
    records = read_cs(file, passthrough) if file.suffix == ".cs" else None
    blocks = read_star(file) if records is None else star_tables(records)
    tables = relion.relion_tables(blocks, file)
    pixel_size = relion.pixel_size(tables)
    sign = None if records is None else _signs(records, file)
    names = parse_image_names(tables.particles["rlnImageName"], file)
    return Particles(
        source=file,
        table=tables.particles,
        optics=tables.optics,
        records=records,
        ctf=relion.ctf_params(tables),
        poses=relion.poses(tables, pixel_size),
        half_sets=relion.half_sets(tables),
        group=relion.groups(tables),
        images=_image_stack(names, locate(names.names, file, data_dir), relion.image_size(tables), sign),
        pixel_size=pixel_size,
        premultiplied=relion.premultiplied(tables),
    )


def _image_stack(names: ImageNames, files: tuple[Path, ...], box: int | None, sign: np.ndarray | None) -> ImageStack:
    """The stack of the named images; a box not stated is taken from the first file."""
    side = read_header(files[0]).shape[1] if box is None else box
    if side % 2:
        raise InputError(
            f"the box is {side} pixels, an odd number", file=files[0], mend="extract the particles in an even box"
        )
    return ImageStack(files, names.name_index, names.section, sign, side)


def _signs(records: np.ndarray, file: Path) -> np.ndarray | None:
    """Factor 1 or -1 on each image; 0, which old files have, counts as 1."""
    if "blob/sign" not in names_of(records):
        return None
    signs = np.where(records["blob/sign"] == 0, 1.0, records["blob/sign"]).astype(np.float32)
    if not np.isin(signs, (1.0, -1.0)).all():
        raise InputError(
            f"blob/sign is {signs[~np.isin(signs, (1.0, -1.0))][0]:g}, not 1 or -1",
            file=file,
            mend="import the particles again with a data sign of 1 or -1",
        )
    return None if (signs == 1).all() else signs
