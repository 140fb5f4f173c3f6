"""Finished parts of a reproduction, kept in its folder: one that was stopped or killed goes on where it was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from cryorbit import __version__
from cryorbit.io.atomic import atomic_path
from cryorbit.io.destinations import require_free_folder

FOLDER = "kept"
MARK = "reproduction.json"


def claim_folder(output: Path, name: str) -> None:
    """Mark the folder of a reproduction as such; ``InputError`` if it holds files of anything else."""
    mark = output / MARK
    text = json.dumps({"name": name}) + "\n"
    if mark.is_file() and mark.read_bytes() == text.encode():
        return
    require_free_folder(output)
    with atomic_path(mark) as temporary:
        temporary.write_text(text)


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
    held = _read(file) if file.exists() else {}
    if held.get("made_from") == made_from and "part" in held:
        return held["part"]
    part = make()
    with atomic_path(file) as temporary:
        torch.save({"made_from": made_from, "part": part}, temporary)
    return part


def _read(file: Path) -> Mapping[str, Any]:
    """What a file of a part holds; nothing if it is damaged, so that the part is made again."""
    try:
        held = torch.load(file, weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, ValueError):
        return {}
    return held if isinstance(held, Mapping) else {}
