"""Transforms of images that have been read, kept for the passes to come: stacks are read once for many passes.

What is kept does not depend on poses, noise or radius: coefficients of a half disc, whose first ones are the half disc
of a smaller radius. They are rounded to half precision, and so are those for which there is no room: results do not
depend on how much room there is, on what has been read before, or on where it is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias

import torch
from jaxtyping import Complex, Float, Float16, Int
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc, half_disc
from cryorbit.imaging.half_precision import HalfTransforms
from cryorbit.io.kept_rows import Rows

LOGGER = logging.getLogger(__name__)
BYTES_PER_COEFFICIENT = 4
READ_AGAIN = -1
"""Place of an image that is not kept."""

Read: TypeAlias = Callable[[Int[Tensor, " b"]], Float[Tensor, "b n n"]]
MakeRows: TypeAlias = Callable[[int, int], Rows]
"""Makes room for so many rows of so many numbers."""


class TransformCache:
    """Transforms of the images of one `ParticleSource`; a context manager, at whose end they are gone.

    Of each image as many coefficients are kept as leave room for a share of the images; more images are kept as long as
    there is room. If more coefficients are asked for, all images are forgotten, and from then on as many are kept as
    there is room for at that radius.

    Parameters
    ----------
    images
        Number of images.
    share
        How many of them passes of this process read.
    box
        Their side, pixels.
    largest
        Fourier radius beyond which none is asked for.
    room
        Bytes, at most.
    make_rows
        Where they are kept.
    """

    def __init__(self, images: int, share: int, box: int, largest: float, room: int, make_rows: MakeRows) -> None:
        self._place = torch.full((images,), READ_AGAIN)
        self._exponent = torch.zeros(images, dtype=torch.int32)
        self._share, self._largest = share, half_disc(box, largest)
        self._room, self._make_rows = room, make_rows
        self._begin(half_disc(box, 0.0))

    def __enter__(self) -> Self:
        """The cache."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the room back."""
        self._rows.close()

    def transforms(self, index: Int[Tensor, " b"], disc: HalfDisc, read: Read) -> Complex[Tensor, "b p"]:
        """Unitary transforms of the images at ``index`` on ``disc``; ``read`` reads those that are not kept."""
        if len(disc) > len(self._disc):
            self._rows.close()
            self._begin(disc)
        index, width = index.cpu(), 2 * len(disc)
        place = self._place[index]
        is_kept = place != READ_AGAIN
        parts = torch.empty(len(index), width, dtype=torch.float16)
        if bool(is_kept.any()):
            parts[is_kept] = self._rows.read(place[is_kept], width)
        if not bool(is_kept.all()):
            parts[~is_kept] = self._read(index[~is_kept], disc, read)[:, :width]
        halves = HalfTransforms(parts.unflatten(1, (-1, 2)), self._exponent[index])
        return halves.to(disc.shells.device).single()

    def _begin(self, least: HalfDisc) -> None:
        """Forget all images and make room for transforms on a half disc, or on more coefficients if they fit."""
        fitting = self._room // (BYTES_PER_COEFFICIENT * self._share)
        self._disc = least if len(least) >= fitting else _first(self._largest, max(len(least), fitting))
        row_bytes = BYTES_PER_COEFFICIENT * len(self._disc)
        self._count = min(len(self._place), self._room // max(1, row_bytes))
        self._filled = 0
        self._place.fill_(READ_AGAIN)
        self._rows = self._make_rows(self._count, 2 * len(self._disc))
        LOGGER.info("Room for %d of %d transforms of %d bytes", self._count, len(self._place), row_bytes)

    def _read(self, index: Int[Tensor, " b"], disc: HalfDisc, read: Read) -> Float16[Tensor, "b w"]:
        """Rows of images that are not kept; as many as there is room for are kept from now on."""
        free = self._count - self._filled
        halves = HalfTransforms.of(read(index), self._disc.to(disc.shells.device) if free else disc).to("cpu")
        self._exponent[index] = halves.exponent
        rows = halves.parts.flatten(1)
        if free:
            self._keep(index[:free], rows[:free])
        return rows

    def _keep(self, index: Int[Tensor, " b"], rows: Float16[Tensor, "b w"]) -> None:
        """Keep rows of images; where that fails, no others are kept either."""
        try:
            self._rows.write(self._filled, rows)
        except OSError as error:
            LOGGER.warning("No more images are kept (%s): the others are read again in every pass", error.strerror)
            self._count = self._filled
        else:
            self._place[index] = torch.arange(self._filled, self._filled + len(index))
            self._filled += len(index)


def _first(disc: HalfDisc, count: int) -> HalfDisc:
    """The first coefficients of a half disc."""
    return HalfDisc(disc.box, disc.radius, disc.frequencies[:count], disc.shells[:count])
