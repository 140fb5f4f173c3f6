"""Whether particle images are of a tilt series: many of one particle, each at an electron dose of its own."""

from __future__ import annotations

import pandas as pd

MICROGRAPH, DOSE = "rlnMicrographName", "rlnMicrographPreExposure"
FEWEST_TILTS = 5
"""Doses of a micrograph from which on it is a tilt series; a beam-induced-motion table states one or two."""


def tilts(table: pd.DataFrame) -> int | None:
    """How many doses the images of a micrograph were taken at, in the median; None where the table tells of no tilts.

    Parameters
    ----------
    table
        Of particles, in RELION's labels.
    """
    if MICROGRAPH not in table or DOSE not in table:
        return None
    doses = table.groupby(MICROGRAPH)[DOSE].nunique().median()
    return int(doses) if doses >= FEWEST_TILTS else None
