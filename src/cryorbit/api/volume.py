"""A map as a notebook holds it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from cryorbit.io.destinations import require_new_file
from cryorbit.io.mrc import read_map as read_map_file
from cryorbit.io.mrc import write_map


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A map.

    Attributes
    ----------
    values
        Density ``[z, y, x]``, protein positive.
    pixel_size
        Side of a voxel, A.
    """

    values: Float[Tensor, "z y x"]
    pixel_size: float

    @property
    def box(self) -> int:
        """Voxels along a side."""
        return self.values.shape[0]

    def save(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write an MRC file with the voxel size in its header; one that exists is replaced only with ``overwrite``."""
        if not overwrite:
            require_new_file(Path(path))
        write_map(path, self.values, self.pixel_size)

    def __repr__(self) -> str:
        """Size and statistics, one line."""
        z, y, x = self.values.shape
        low, high = float(self.values.min()), float(self.values.max())
        spread = f"{low:.3g} to {high:.3g}, standard deviation {float(self.values.std(correction=0)):.3g}"
        return f"Volume({z} x {y} x {x} voxels of {self.pixel_size:.4g} Å, {spread})"

    def _repr_html_(self) -> str:
        """Surface, central slices and projections, for a notebook."""
        from cryorbit.api.pictures import paragraph, picture
        from cryorbit.report.look import CLASS_COLOURS
        from cryorbit.report.map_figures import draw_map
        from cryorbit.report.surface import shaded_views

        text = paragraph(repr(self))
        if len(set(self.values.shape)) > 1 or self.values.min() == self.values.max():
            return text
        density = self.values.detach().float().cpu().numpy()
        views = shaded_views(density, CLASS_COLOURS[0])
        return text + picture(partial(draw_map, density, self.pixel_size, views), "surface, slices, projections")


def read_map(path: Path | str) -> Volume:
    """Read an MRC map; ``InputError`` if it is damaged or does not state its voxel size."""
    return Volume(*read_map_file(path))
