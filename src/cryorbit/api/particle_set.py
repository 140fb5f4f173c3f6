"""Particles as a notebook holds them: looked at, chosen from, handed to a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.core.errors import InputError
from cryorbit.core.seeds import generator_for
from cryorbit.io.destinations import require_new_file
from cryorbit.io.image_paths import is_file
from cryorbit.io.particles import Particles
from cryorbit.io.particles import read_particles as read_particle_file
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.selection import random_rows, rows_where

FIRST_ROWS = 5
PICTURES = 8


@dataclass(frozen=True, slots=True, eq=False)
class ParticleSet:
    """A particle set or a part of one; images stay on disk until they are asked for.

    Attributes
    ----------
    particles
        Table, CTF parameters, poses, image stack.
    data_dir
        Folder that relative image names were looked for in first.
    complete
        Whether these are all particles of the file.
    """

    particles: Particles
    data_dir: Path | None = None
    complete: bool = True

    def __len__(self) -> int:
        """Number of particles."""
        return len(self.particles)

    def __getitem__(self, chosen: slice | Sequence[int] | Int[Tensor, " m"] | Bool[Tensor, " n"]) -> ParticleSet:
        """The particles that a slice, indices or a mask choose."""
        if isinstance(chosen, slice):
            chosen = torch.arange(len(self))[chosen]
        return ParticleSet(self.particles.subset(torch.as_tensor(np.asarray(chosen))), self.data_dir, complete=False)

    @property
    def table(self) -> pd.DataFrame:
        """A row a particle, columns by RELION's labels."""
        return self.particles.table

    @property
    def optics(self) -> pd.DataFrame | None:
        """The optics groups, a row each; None in files of RELION 3.0 and older."""
        return self.particles.optics

    @property
    def poses(self) -> Poses | None:
        """Rotation matrices and shifts (pixels), or None."""
        return self.particles.poses

    @property
    def box(self) -> int:
        """Side of the images, pixels."""
        return self.particles.box

    @property
    def pixel_size(self) -> float:
        """A."""
        return self.particles.pixel_size

    def where(self, query: str) -> ParticleSet:
        """The particles of which a query on the columns holds, for example ``"rlnDefocusU < 30000"``."""
        return self[rows_where(self.particles, query)]

    def sample(self, count: int, seed: int = 0) -> ParticleSet:
        """As many particles drawn at random, in the order of the file."""
        return self[random_rows(self.particles, count, generator_for(seed, "sample"))]

    def images(self, indices: Sequence[int] | Int[Tensor, " b"]) -> Float[Tensor, "b y x"]:
        """Images read from disk, as they are there."""
        return self.particles.images.read(np.asarray(indices))

    def save(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write a STAR file of RELION 3.1 (and a ``.cs`` file beside it if they came so), with every column.

        Files that exist are replaced only with ``overwrite``.
        """
        target = Path(path)
        if target.suffix != ".star":
            raise InputError(f"{target.name} is not the name of a STAR file", fix="let it end in .star")
        if not overwrite:
            for file in (target, target.with_suffix(".cs")) if self.particles.records is not None else (target,):
                require_new_file(file)
        write_particles(target, self.particles, Assignments())

    def __repr__(self) -> str:
        """Counts, one line."""
        files = len(np.unique(self.particles.images.file_index))
        posed = "with poses" if self.poses is not None else "no poses"
        return (
            f"ParticleSet({len(self):,} images of {self.box} x {self.box} pixels of {self.pixel_size:.4g} Å "
            f"in {files:,} file{'' if files == 1 else 's'}, {posed}; {self.particles.source})"
        )

    def _repr_html_(self) -> str:
        """Counts, a few images, optics groups and first rows, for a notebook."""
        from cryorbit.api.pictures import paragraph, picture

        parts = [paragraph(repr(self))]
        if all(is_file(file) for file in self.particles.images.files):
            count = min(PICTURES, len(self))
            shown = self.images(torch.linspace(0, len(self) - 1, count).round().long())
            parts.append(picture(partial(_draw_strip, shown.numpy()), f"{count} of the images"))
        if self.optics is not None:
            parts.append(self.optics.to_html(index=False))
        parts.append(self.table.head(FIRST_ROWS).to_html())
        return "".join(parts)


def read_particles(
    path: Path | str,
    data_dir: Path | str | None = None,
    passthrough: Path | str | None = None,
    *,
    subset: str | None = None,
) -> ParticleSet:
    """Read a particle set: a STAR file of RELION or a ``.cs`` file of cryoSPARC.

    Parameters
    ----------
    path
        The file.
    data_dir
        Folder that image paths are relative to; found out when not given.
    passthrough
        Passthrough file of a ``.cs`` file; found beside it when not given.
    subset
        Query on the columns, as `ParticleSet.where` takes it; particles that do not match are not read, and may be of
        another box or pixel size.

    Raises
    ------
    InputError
        The file is damaged, lacks what is needed, or mixes pixel sizes or boxes.
    """
    particles = read_particle_file(path, data_dir, passthrough, query=subset)
    folder = None if data_dir is None else Path(data_dir).absolute()
    return ParticleSet(particles, folder, complete=subset is None)


def _draw_strip(images: Float[np.ndarray, "b y x"]) -> Figure:
    figure = Figure(figsize=(6.4, 0.9))
    for axes, image in zip(figure.subplots(1, len(images), squeeze=False)[0], images, strict=True):
        low, high = np.percentile(image, (0.5, 99.5))
        axes.imshow(image, cmap="gray", vmin=low, vmax=high, origin="lower")
        axes.set_axis_off()
    return figure
