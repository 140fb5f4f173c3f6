"""Images read by index from many stacks, each time from disk, so that memory never holds more than was asked for.

A few that are looked at again and again can be kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from cryorbit.core.chunks import chunk_size
from cryorbit.core.errors import InputError
from cryorbit.io.mrc import MrcHeader, parse_header


@dataclass(frozen=True, slots=True)
class KeptImages:
    """M images that have been read, among the N of a stack.

    Attributes
    ----------
    images
        As the files have them.
    place
        Where in ``images`` each image of the stack is; -1 where it is not.
    """

    images: Float[np.ndarray, "m y x"]
    place: Int[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class ImageStack:
    """N square images spread over MRC stacks.

    Attributes
    ----------
    files
        The stacks.
    file_index
        Which of ``files`` holds each image.
    section
        Place of each image in its file, from 0.
    sign
        Factor (1 or -1) on each image, or None for 1.
    box
        Side of the images, pixels.
    kept
        Images that need not be read again, or None.
    """

    files: tuple[Path, ...]
    file_index: Int[np.ndarray, " n"]
    section: Int[np.ndarray, " n"]
    sign: Float[np.ndarray, " n"] | None
    box: int
    kept: KeptImages | None = None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.section)

    def subset(self, indices: Int[np.ndarray, " m"]) -> ImageStack:
        """The stack of the images at ``indices``."""
        sign = None if self.sign is None else self.sign[indices]
        kept = None if self.kept is None else KeptImages(self.kept.images, self.kept.place[indices])
        return ImageStack(self.files, self.file_index[indices], self.section[indices], sign, self.box, kept)

    def keeping(self, most_bytes: int) -> ImageStack:
        """The stack with its first images kept, as many as fit so many bytes; errors as for `read`."""
        place = np.arange(len(self))
        count = chunk_size(4 * self.box**2, most_bytes, len(self))
        place[count:] = -1
        return replace(self, kept=KeptImages(self._stored(np.arange(count)), place))

    def read(self, indices: Int[Tensor, " b"] | Int[np.ndarray, " b"]) -> Float[Tensor, "b y x"]:
        """The images at ``indices``, float32, in the order asked for.

        Files are opened in turn and neighbouring images read at once. Nothing is mapped: of a file that shrinks
        while it is read comes an error, not a crash.

        Raises
        ------
        InputError
            A file is missing, cut short, holds fewer images than the index says or images of another size.
        """
        wanted = np.asarray(indices)
        images = self._stored(wanted)
        if self.sign is not None:
            images *= self.sign[wanted, None, None]
        return torch.from_numpy(images)

    def _stored(self, wanted: Int[np.ndarray, " b"]) -> Float[np.ndarray, "b y x"]:
        """The images as they are stored."""
        images = np.empty((len(wanted), self.box, self.box), dtype=np.float32)
        order = np.arange(len(wanted))
        if self.kept is not None:
            place = self.kept.place[wanted]
            images[place >= 0] = self.kept.images[place[place >= 0]]
            order = np.flatnonzero(place < 0)
        files, sections = self.file_index[wanted], self.section[wanted]
        order = order[np.lexsort((sections[order], files[order]))]
        for group in np.split(order, np.flatnonzero(np.diff(files[order])) + 1):
            if group.size:
                self._read_from(self.files[files[group[0]]], sections[group], group, images)
        return images

    def _read_from(
        self,
        path: Path,
        sections: Int[np.ndarray, " g"],
        places: Int[np.ndarray, " g"],
        images: Float[np.ndarray, "b y x"],
    ) -> None:
        """Put the ascending ``sections`` of a file at ``places`` of ``images``."""
        try:
            with path.open("rb", buffering=0) as handle:
                header = parse_header(handle, path)
                self.check_header(path, header, sections)
                for run in _runs(sections):
                    images[places[run]] = _read_sections(
                        handle, header, int(sections[run.start]), run.stop - run.start, path
                    )
        except OSError as error:
            raise InputError(
                f"the stack cannot be read ({error.strerror})",
                file=path,
                fix="check the file or give the data folder",
            ) from error

    def check_header(self, path: Path, header: MrcHeader, sections: Int[np.ndarray, " g"], by: str = "") -> None:
        """Raise `InputError` unless the file has images of this box and all ``sections``, asked for ``by`` a row."""
        if header.shape[1:] != (self.box, self.box):
            raise InputError(
                f"the images are {header.shape[2]} x {header.shape[1]} pixels, not {self.box} x {self.box}",
                file=path,
                fix="correct rlnImageSize (blob/shape), or give the stack the table was made for",
            )
        if len(sections) and int(sections.max()) >= header.shape[0]:
            raise InputError(
                f"image {int(sections.max()) + 1} is needed{by}, but the stack holds {header.shape[0]}",
                file=path,
                fix="give the stack the table was made for; images are counted from 1 in STAR, from 0 in .cs files",
            )


def _runs(sections: Int[np.ndarray, " g"]) -> Iterator[slice]:
    """Slices of ascending sections that follow one another without a gap."""
    breaks = np.flatnonzero(np.diff(sections) != 1) + 1
    for start, stop in zip([0, *breaks], [*breaks, len(sections)], strict=True):
        yield slice(int(start), int(stop))


def _read_sections(handle: FileIO, header: MrcHeader, first: int, count: int, path: Path) -> Num[np.ndarray, "c y x"]:
    pixels = header.shape[1] * header.shape[2]
    handle.seek(header.offset + first * header.section_bytes)
    values = np.fromfile(handle, header.dtype, count * pixels)
    if len(values) < count * pixels:
        raise InputError(
            f"the file ends within images {first + 1} to {first + count}: it is cut short",
            file=path,
            fix="copy the stack again, or extract the particles again",
        )
    return values.reshape(count, *header.shape[1:])
