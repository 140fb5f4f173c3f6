"""RELION's labels as RELION spells them: programs and editors write ``rlnOriginxAngst`` or ``data_Particles`` too.

RELION passes such a column over, and what it passes over counts as 0: shifts that are not applied, half-sets drawn
anew. No two labels of particles differ in their letter case alone, so what was meant is certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

BLOCKS = ("optics", "particles", "images")
"""Blocks of a particle file."""
_NAMES = """
    ImageName MicrographName GroupName OpticsGroup OpticsGroupName ClassNumber RandomSubset BeamTiltClass
    CoordinateX CoordinateY CoordinateZ AngleRot AngleTilt AnglePsi OriginX OriginY OriginXAngst OriginYAngst
    DefocusU DefocusV DefocusAngle PhaseShift CtfBfactor CtfScalefactor
    Voltage SphericalAberration AmplitudeContrast BeamTiltX BeamTiltY OddZernike EvenZernike
    MagMat00 MagMat01 MagMat10 MagMat11 MtfFileName CtfDataAreCtfPremultiplied CtfDataArePhaseFlipped
    ImagePixelSize ImageSize ImageDimensionality Magnification DetectorPixelSize PixelSize
    MicrographOriginalPixelSize MicrographPixelSize MicrographPreExposure HelicalTubeID TomoParticleName
"""
LABELS = tuple(f"rln{name}" for name in _NAMES.split())
"""Labels of particles and optics groups that are read."""


def as_relion_spells(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The blocks of a particle file, names of `BLOCKS` and `LABELS` in RELION's letter case.

    A name that is there in the right spelling too is another one, and stays.
    """
    names = _respelt(tables, BLOCKS)
    return {
        names.get(name, name): table.rename(columns=_respelt(table.columns, LABELS)) for name, table in tables.items()
    }


def _respelt(names: Iterable[str], known: tuple[str, ...]) -> dict[str, str]:
    """The right spelling of those of ``names`` that differ from a ``known`` one in their letter case."""
    right = {name.lower(): name for name in known}
    listed = list(names)
    lower = [name.lower() for name in listed]
    return {
        name: right[small]
        for name, small in zip(listed, lower, strict=True)
        if right.get(small, name) != name and lower.count(small) == 1
    }
