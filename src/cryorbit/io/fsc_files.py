"""Fourier shell correlations as RELION's STAR table, the XML file of the EMDB, and CSV."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from cryorbit.io.atomic import atomic_path
from cryorbit.io.star_writing import Block, write_star

FREQUENCY = "spatial_frequency_per_A"
STAR_LABELS = {
    "corrected": "rlnFourierShellCorrelationCorrected",
    "unmasked": "rlnFourierShellCorrelationUnmaskedMaps",
    "masked": "rlnFourierShellCorrelationMaskedMaps",
    "randomised": "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps",
}
"""Names of known curves and RELION's labels; other names are written as they are."""


def write_fsc(
    stem: Path | str,
    frequency: Float[np.ndarray, " s"],
    curves: Mapping[str, Float[np.ndarray, " s"]],
    title: str,
    general: Mapping[str, object] | None = None,
) -> None:
    """Write curves to ``stem`` with the suffixes ``.star``, ``.xml`` and ``.csv``.

    Parameters
    ----------
    stem
        Path without suffix.
    frequency
        Spatial frequency of each shell, from shell 0, 1/A.
    curves
        Name to values a shell; the names of `STAR_LABELS` become RELION's labels. The first curve goes to the XML file.
    title
        Title in the XML file.
    general
        Label-value pairs of the STAR file's ``data_general``, for example ``{"rlnFinalResolution": 3.2}``; without
        any, the block is left out.
    """
    target = Path(stem)
    table = pd.DataFrame({FREQUENCY: frequency, **curves})
    star, xml, csv = files_of(target)
    _write_star(star, table, general or {})
    _write_xml(xml, frequency, next(iter(curves.values())), title)
    with atomic_path(csv) as temporary:
        table.to_csv(temporary, index=False)


def files_of(stem: Path) -> tuple[Path, Path, Path]:
    """The files that `write_fsc` writes."""
    return _with_suffix(stem, ".star"), _with_suffix(stem, ".xml"), _with_suffix(stem, ".csv")


def _write_star(path: Path, table: pd.DataFrame, general: Mapping[str, object]) -> None:
    frequency = table[FREQUENCY].to_numpy()
    # RELION gives shell 0, whose resolution is infinite, this value
    resolution = np.divide(1.0, frequency, out=np.full_like(frequency, 999.0), where=frequency > 0)
    shells = pd.DataFrame(
        {
            "rlnSpectralIndex": np.arange(len(table)),
            "rlnResolution": frequency,
            "rlnAngstromResolution": resolution,
        }
    )
    curves = table.drop(columns=FREQUENCY).rename(columns=STAR_LABELS)
    blocks: dict[str, Block] = {"general": general} if general else {}
    write_star(path, blocks | {"fsc": pd.concat([shells, curves], axis=1)})


def _write_xml(path: Path, x: Float[np.ndarray, " s"], y: Float[np.ndarray, " s"], title: str) -> None:
    root = ElementTree.Element("fsc", {"title": title, "xaxis": "Resolution (A-1)", "yaxis": "Correlation Coefficient"})
    for frequency, value in zip(x.tolist(), y.tolist(), strict=True):
        if not math.isfinite(value):
            continue
        coordinate = ElementTree.SubElement(root, "coordinate")
        ElementTree.SubElement(coordinate, "x").text = f"{frequency:.6f}"
        ElementTree.SubElement(coordinate, "y").text = f"{value:.6f}"
    ElementTree.indent(root)
    with atomic_path(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="unicode")


def _with_suffix(stem: Path, suffix: str) -> Path:
    """``stem`` and a suffix; a dot in the name (``map_3.2A``) is no suffix to replace."""
    return stem.with_name(stem.name + suffix)
