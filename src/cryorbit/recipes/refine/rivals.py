"""Start maps of several classes must differ: nothing tells classes apart that begin as one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.evaluation.align import correlation

SAME = 0.9999
"""Correlation above which two start maps are taken for one; a hundredth of the mass elsewhere makes about 0.995."""


def refuse_same(volumes: Sequence[Float[Tensor, "m m m"]], paths: Sequence[Path]) -> None:
    """Raise ``InputError`` if two start maps, low-passed, are one and the same but for their grey scale."""
    for (first, path), (second, other) in itertools.combinations(zip(volumes, paths, strict=True), 2):
        if float(correlation(first, second)) > SAME:
            raise InputError(
                f"at the starting resolution this map equals {path}: the classes cannot be distinguished",
                file=other,
                fix="give maps that differ, a finer --initial-resolution, or have classes found "
                "by `cryorbit abinit --classes K`",
            )
