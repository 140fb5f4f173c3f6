"""D and W of one half-set on disk while those of the other are summed.

As whole numbers they take twice the memory that they take as floating-point numbers: with those of one half-set at a
time, and nothing of the other, no more memory is needed than for both in floating point.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.inference.exact_sums import ExactSums

KEPT_IN_MEMORY = 2**26
"""Bytes up to which sums are not written to disk."""
CHUNK = 2**22
"""Bytes that are copied at a time."""


class Shelf:
    """Finished sums, in the order in which they were put there; a context manager, at whose end they are gone.

    Parameters
    ----------
    folder
        Where the file is that holds them; None for the system's folder of temporary files.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.SpooledTemporaryFile(KEPT_IN_MEMORY, dir=None if folder is None else str(folder))  # noqa: SIM115 (this is one)
        self._ends = [0]

    def __enter__(self) -> Self:
        """The shelf."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the file."""
        self._file.close()

    def __len__(self) -> int:
        """Number of sums that were put there."""
        return len(self._ends) - 1

    def put(self, sums: ExactSums) -> None:
        """Write down the sums, as floating-point numbers; ``InputError`` as for `ExactSums.planes`."""
        for plane in sums.planes():
            for array in (plane.rows, torch.view_as_real(plane.data), plane.weight):
                np.save(self._file, array.cpu().numpy())
        self._ends.append(self._file.tell())

    def write(self, number: int, stream: BinaryIO) -> None:
        """Copy some of the sums, by their number, to a file."""
        first, last = self._ends[number : number + 2]
        self._file.seek(first)
        while first < last and (part := self._file.read(min(CHUNK, last - first))):
            stream.write(part)
            first += len(part)
        self._file.seek(self._ends[-1])

    def put_from(self, stream: BinaryIO) -> None:
        """Put sums there that were copied to a file."""
        shutil.copyfileobj(stream, self._file)
        self._ends.append(self._file.tell())

    def take(self, data: Complex[Tensor, "s k z q h"], weight: Float[Tensor, "s k z q h"]) -> None:
        """Write the sums of so many half-sets, all that were put there, to arrays of zeros."""
        self._file.seek(0)
        for place in np.ndindex(*data.shape[:3]):
            rows, values, weights = (torch.from_numpy(np.load(self._file)) for _ in range(3))
            data[place][rows.to(data.device)] = torch.view_as_complex(values).to(data)
            weight[place][rows.to(data.device)] = weights.to(weight)
