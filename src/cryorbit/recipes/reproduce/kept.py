"""Finished parts of a reproduction, kept in its folder: one that was stopped or killed goes on where it was."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cryorbit import __version__
from cryorbit.io.atomic import atomic_path

FOLDER = "kept"


def keep(output: Path, name: str, inputs: tuple[object, ...], make: Callable[[], Any]) -> Any:
    """The part ``name`` of a reproduction: as it was kept if it was made from the same inputs, else made and kept now.

    Parameters
    ----------
    output
        Folder of the reproduction.
    name
        Of the part; tells it from others of the reproduction.
    inputs
        All that the part depends on; compared as written out by ``repr``, with the version of the package.
    make
        Makes the part: tensors, numbers and texts, or lists and dictionaries of these.
    """
    file = output / FOLDER / f"{re.sub(r'[^a-z0-9]+', '_', name.lower())}.pt"
    made_from = repr((__version__, *inputs))
    if file.exists():
        held = torch.load(file, weights_only=True)
        if held["made_from"] == made_from:
            return held["part"]
    part = make()
    with atomic_path(file) as temporary:
        torch.save({"made_from": made_from, "part": part}, temporary)
    return part
