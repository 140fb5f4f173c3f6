"""RELION's two layouts of a particle STAR file: one table (3.0 and older), and optics groups (3.1 and later).

Between them stands the *flat* table: a row a particle, every column of both tables. The layouts differ in where the
microscope stands (in every row, or in ``data_optics``), in the unit of the origins (pixels, or A), and in how the
pixel size is told (detector pixel size over magnification, or ``rlnImagePixelSize``). Nothing is dropped: what a
layout has no place for, RELION keeps as it found it. Columns that are left over from the other layout and say something
else than those that hold are dropped: the next program might believe them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from cryorbit.io.relion import ORIGINS_A, ORIGINS_PX, SAME_SIZE, RelionTables, pixel_sizes

GROUP, GROUP_NAME, IMAGE_SIZE = "rlnOpticsGroup", "rlnOpticsGroupName", "rlnImageSize"
OPTICS = (
    *(GROUP_NAME, GROUP, "rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast"),
    *("rlnImagePixelSize", IMAGE_SIZE, "rlnImageDimensionality"),
    *("rlnMagnification", "rlnDetectorPixelSize", "rlnPixelSize"),
    *("rlnMicrographOriginalPixelSize", "rlnMicrographPixelSize", "rlnMtfFileName"),
    *("rlnBeamTiltX", "rlnBeamTiltY", "rlnOddZernike", "rlnEvenZernike"),
    *("rlnMagMat00", "rlnMagMat01", "rlnMagMat10", "rlnMagMat11"),
    *("rlnCtfDataAreCtfPremultiplied", "rlnCtfDataArePhaseFlipped"),
)
"""Labels that belong to the optics groups from RELION 3.1 on."""
BEAM_TILT_CLASS = "rlnBeamTiltClass"
"""Tells particles of different beam tilt apart in RELION 3.0; each value becomes an optics group."""
MAGNIFICATION = 10_000.0
"""Magnification at which a detector pixel of x micrometres is an image pixel of x A; RELION's own choice."""


def flat_table(tables: RelionTables) -> pd.DataFrame:
    """Every column as a value a particle; where both tables have a column, that of the optics groups holds."""
    flat = tables.particles.copy()
    if tables.optics is None or tables.optics_row is None:
        return flat
    for label in tables.optics:
        flat[label] = tables.optics[label].to_numpy()[tables.optics_row]
    return flat


def stale_columns(table: pd.DataFrame, sizes: Float[np.ndarray, " n"]) -> list[str]:
    """Columns of a table that another layout left behind, and that those that hold contradict.

    Origins in A hold before those in pixels, and ``sizes``, the pixel sizes in A, before whatever says others.
    """
    stale = []
    if all(label in table for label in ORIGINS_A):
        origins = (table[list(ORIGINS_A)].apply(pd.to_numeric, errors="coerce").to_numpy() / sizes[:, None]).T
        pairs = [(label, origin) for label, origin in zip(ORIGINS_PX, origins, strict=True) if label in table]
        if not all(_agree(table[label], origin) for label, origin in pairs):
            stale += [label for label, _ in pairs]
    pair = ("rlnMagnification", "rlnDetectorPixelSize")
    if all(label in table for label in pair):
        magnification, detector = (pd.to_numeric(table[label], errors="coerce") for label in pair)
        stale += [] if _agree(1e4 * detector / magnification, sizes, SAME_SIZE) else pair
    if "rlnPixelSize" in table and not _agree(table["rlnPixelSize"], sizes, SAME_SIZE):
        stale.append("rlnPixelSize")
    return stale


def _agree(column: pd.Series, values: Float[np.ndarray, " n"], tolerance: float = 1e-4) -> bool:
    """Whether the numbers of a column are ``values``, up to the digits that tables have."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    return bool(np.allclose(numbers, values, rtol=tolerance, atol=1e-4 if tolerance < SAME_SIZE else 0, equal_nan=True))


def as_version_31(flat: pd.DataFrame, tables: RelionTables, box: int | None) -> dict[str, pd.DataFrame]:
    """Tables ``optics`` and ``particles`` of RELION 3.1 and later.

    Parameters
    ----------
    flat
        The flat table of ``tables``, which may have more columns.
    tables
        Where pixel sizes are read.
    box
        Side of the images in pixels, for where the table does not state it; None leaves it out.
    """
    sizes = pixel_sizes(tables)
    flat = flat.drop(columns=stale_columns(flat, sizes))
    flat["rlnImagePixelSize"] = sizes
    if IMAGE_SIZE not in flat and box is not None:
        flat[IMAGE_SIZE] = box
    if "rlnImageDimensionality" not in flat:
        flat["rlnImageDimensionality"] = 2
    _convert_origins(flat, ORIGINS_PX, ORIGINS_A, sizes)
    labels = [label for label in OPTICS if label in flat and label not in (GROUP, GROUP_NAME)]
    number, name = _groups(flat, labels)
    flat[GROUP], flat[GROUP_NAME] = number, name
    optics = flat[[GROUP_NAME, GROUP, *labels]].drop_duplicates(GROUP).sort_values(GROUP, ignore_index=True)
    return {"optics": optics, "particles": flat.drop(columns=[GROUP_NAME, *labels])}


def as_version_30(flat: pd.DataFrame, tables: RelionTables) -> dict[str, pd.DataFrame]:
    """The one table of RELION 3.0 and older, under the block name ``images``; arguments as for `as_version_31`."""
    sizes = pixel_sizes(tables)
    flat = flat.drop(columns=stale_columns(flat, sizes))
    if "rlnMagnification" not in flat or "rlnDetectorPixelSize" not in flat:
        flat["rlnMagnification"], flat["rlnDetectorPixelSize"] = MAGNIFICATION, sizes
    _convert_origins(flat, ORIGINS_A, ORIGINS_PX, 1 / sizes)
    return {"images": flat}


def _convert_origins(
    flat: pd.DataFrame, old: tuple[str, str], new: tuple[str, str], factor: Float[np.ndarray, " n"]
) -> None:
    """Replace the columns ``old`` by ``new`` = ``old`` times ``factor``; where ``new`` is there, it stays."""
    for before, after in zip(old, new, strict=True):
        if before not in flat:
            continue
        if after in flat:
            del flat[before]
            continue
        position = flat.columns.get_loc(before)
        flat.insert(position, after, flat.pop(before).to_numpy(float) * factor)


def _groups(flat: pd.DataFrame, labels: list[str]) -> tuple[Int[np.ndarray, " n"], list[str]]:
    """Number and name of the optics group of each particle: those stated if they suffice, else new ones."""
    stated = [label for label in (GROUP, BEAM_TILT_CLASS) if label in flat]
    if GROUP in flat and (flat.groupby(GROUP)[labels].nunique(dropna=False) <= 1).all(axis=None):
        number = flat[GROUP].to_numpy(dtype=np.int64)
        names = flat[GROUP_NAME].astype(str).tolist() if GROUP_NAME in flat else None
        return number, names or [f"opticsGroup{each}" for each in number]
    number = flat.groupby([*stated, *labels], dropna=False, sort=False).ngroup().to_numpy() + 1
    return number, [f"opticsGroup{each}" for each in number]
