"""Finished parts of a study, kept in its job folder: one that was stopped or killed goes on after the last of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from cryorbit import __version__
from cryorbit.io.atomic import atomic_path
from cryorbit.io.job_record import CHECKPOINT

PREFIX = "kept_"
"""Beginning of the names of parts: beside them lie the job's other files that only `cryorbit resume` needs."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished part, and the seconds of the clock that it took when it was made."""

    part: Any
    seconds: float


def keep(folder: Path, name: str, inputs: tuple[object, ...], make: Callable[[], Any]) -> Kept:
    """The part ``name`` of a study: as it was kept if it was made from the same inputs, else made and kept now.

    Parameters
    ----------
    folder
        Job folder of the study.
    name
        Of the part; tells it from others of the study.
    inputs
        All that the part depends on; compared as written out by ``repr``, with the version of the package.
    make
        Makes the part: tensors, numbers and texts, or lists and dictionaries of these.
    """
    file = folder / CHECKPOINT / f"{PREFIX}{re.sub(r'[^a-z0-9]+', '_', name.lower())}.pt"
    made_from = repr((__version__, *inputs))
    held = _read(file) if file.exists() else {}
    if held.get("made_from") == made_from and {"part", "seconds"} <= set(held):
        return Kept(held["part"], held["seconds"])
    began = time.monotonic()
    part = make()
    seconds = time.monotonic() - began
    with atomic_path(file) as temporary:
        torch.save({"made_from": made_from, "part": part, "seconds": seconds}, temporary)
    return Kept(part, seconds)


def _read(file: Path) -> Mapping[str, Any]:
    """What a file of a part holds; nothing if it is damaged, so that the part is made again."""
    try:
        held = torch.load(file, weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, ValueError):
        return {}
    return held if isinstance(held, Mapping) else {}
