"""Observations of multireference alignment, and what was made of them, as NumPy archives (``.npz``).

``observations.npz`` holds ``data`` (N x channels x window), ``length`` and ``sigma``; simulated ones also the truth:
``signal`` (channels x length), ``density`` (length) and ``shifts`` (N). ``solution.npz`` holds ``signal``, ``density``.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.bounds import MOST
from cryorbit.core.errors import InputError
from cryorbit.io.atomic import atomic_path

UNREADABLE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)
"""What reading a damaged, encrypted or otherwise compressed archive may raise beside the usual."""


@dataclass(frozen=True, slots=True)
class MRAFile:
    """Contents of an observations file; the truth is None where it is not known."""

    data: Float[Tensor, "n c w"]
    length: int
    sigma: float
    signal: Float[Tensor, "c t"] | None = None


def read_observations(path: Path) -> MRAFile:
    """Read an observations file; float64.

    Raises
    ------
    InputError
        The file cannot be read, lacks something, or holds shapes or numbers that do not fit.
    """
    fix = "give a file with data (N x channels x window), length and sigma, as `cryorbit mra simulate` writes it"
    try:
        # numpy leaves a file open that it opened and cannot read
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
    except (*UNREADABLE, OSError, ValueError, EOFError, AttributeError) as error:
        raise InputError(f"cannot be read as observations: {error}", file=path, fix=fix) from error
    missing = [name for name in ("data", "length", "sigma") if name not in arrays]
    if missing:
        raise InputError(f"holds no {' and no '.join(missing)}", file=path, fix=fix)
    _require_numbers(arrays, path, fix)
    data, samples, sigma = torch.from_numpy(arrays["data"]).double(), arrays["length"].item(), arrays["sigma"].item()
    if not (math.isfinite(samples) and samples == int(samples) and abs(samples) <= MOST):
        raise InputError(f"length is {samples:g}, not a number of samples", file=path, fix=fix)
    length = int(samples)
    if data.ndim != 3 or not 1 <= data.shape[2] <= length or not len(data):
        shape = " x ".join(map(str, data.shape))
        raise InputError(f"data of {shape} are not windows of a signal of {length} samples", file=path, fix=fix)
    if not 0 < sigma <= MOST:
        raise InputError(f"the noise has standard deviation {sigma:g}", file=path, fix="give a positive sigma")
    bad = (~torch.isfinite(data).flatten(1).all(1)).nonzero()
    if len(bad):
        raise InputError("an observation is not finite", file=path, row=int(bad[0]) + 1, fix="leave it out")
    truth = torch.from_numpy(arrays["signal"]).double() if "signal" in arrays else None
    if truth is not None and (truth.shape != (data.shape[1], length) or not truth.isfinite().all()):
        raise InputError("the true signal does not fit the data", file=path, fix="leave signal out of the file")
    return MRAFile(data, length, sigma, truth)


def _require_numbers(arrays: Mapping[str, np.ndarray], path: Path, fix: str) -> None:
    """Raise `InputError` unless length and sigma are a number each, data and signal arrays of numbers."""
    for name in ("data", "length", "sigma", "signal"):
        single = name in ("length", "sigma")
        if name in arrays and (arrays[name].dtype.kind not in "fiu" or (single and arrays[name].size != 1)):
            raise InputError(f"{name} is not {'a number' if single else 'an array of numbers'}", file=path, fix=fix)


def write_arrays(path: Path, arrays: Mapping[str, Tensor | float]) -> None:
    """Write tensors and numbers to an archive, whole or not at all."""
    plain = {name: value.cpu().numpy() if isinstance(value, Tensor) else value for name, value in arrays.items()}
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **plain)
