"""What a pass writes of the agreement of its half-maps, for ``metrics.jsonl`` and the figures made of it."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

_DECIMALS = 4


def half_map_curves(extent: float, fsc: Float[Tensor, "k s"]) -> dict[str, Any]:
    """The entry ``fsc`` of a pass: the Fourier shell correlation of the half-maps of each class.

    Parameters
    ----------
    extent
        Side of the box, Å: shell s has the spatial frequency s / extent.
    fsc
        Of each class, shells 0, 1, ...
    """
    curves = [[round(value, _DECIMALS) for value in curve] for curve in fsc.tolist()]
    return {"fsc": {"extent_A": extent, "classes": curves}}
