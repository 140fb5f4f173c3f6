"""Whether the image files of a particle set are there, whole, and fit its table.

One header a file is read, and of whole numbers a few images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int

from cryorbit.core.errors import InputError
from cryorbit.io.image_paths import is_file
from cryorbit.io.image_stack import ImageStack
from cryorbit.io.mrc import MrcHeader, read_header, require_complete
from cryorbit.io.particles import Particles, missing_files
from cryorbit.io.wrapped_values import are_wrapped

UNKNOWN_PIXEL = (0.0, 1.0)
"""Pixel sizes that programs write into headers when they do not know."""
SAME_PIXEL = 0.01
"""Relative difference up to which a header says the pixel size of the table."""
A_PER_NM = 10.0
LOOKED_AT = 4
"""Images of a file that tell whether its numbers have a sign."""
_AS_UNSIGNED = {
    1: "write the stack again as real numbers (mode 2); the format has no mode of unsigned bytes",
    2: "set the mode of the file, the fourth number of its header, to 6",
}


def check_files(particles: Particles) -> list[str]:
    """Raise `InputError` unless every stack is there, whole, and fits the table; else what is to be said of headers."""
    images_of = images_of_files(particles.images)
    absent = missing_stacks(particles.images)
    if len(absent):
        row = int(particles.rows[images_of[int(absent[0])][0]])
        raise missing_files(particles.source, row, particles.images.files[absent[0]], len(absent), len(images_of))
    headers = {number: check_file(particles, number, images) for number, images in images_of.items()}
    return header_remarks(particles, headers)


def images_of_files(stack: ImageStack) -> dict[int, Int[np.ndarray, " m"]]:
    """Numbers of the images that are asked for of each file, rising; of files of which none is, there is no entry."""
    order = np.argsort(stack.file_index, kind="stable")
    numbers, first = np.unique(stack.file_index[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, first[1:]), strict=True))


def missing_stacks(stack: ImageStack) -> Int[np.ndarray, " m"]:
    """Numbers of the files that are asked for and not there, in the order of the table."""
    used, first = np.unique(stack.file_index, return_index=True)
    in_order = used[np.argsort(first)].tolist()
    return np.array([number for number in in_order if not is_file(stack.files[number])], dtype=np.int64)


def check_file(particles: Particles, number: int, images: Int[np.ndarray, " m"]) -> MrcHeader:
    """The header of file ``number``; `InputError` unless it is there, whole, fits the table and has its ``images``."""
    path = particles.images.files[number]
    header = read_header(path)
    stack = particles.images
    last = images[np.argmax(stack.section[images])]
    by = f" (row {particles.rows[last]} of {particles.source.name})"
    stack.check_header(path, header, stack.section[[last]], by)
    require_complete(path, header, "stack")
    _refuse_wrapped(stack, number, images, header)
    return header


def _refuse_wrapped(stack: ImageStack, number: int, images: Int[np.ndarray, " m"], header: MrcHeader) -> None:
    """Raise `InputError` where signed whole numbers of a file were unsigned ones; a few of its images tell."""
    if header.dtype.kind != "i":
        return
    values = stack.read(images[:: -(-len(images) // LOOKED_AT)]).numpy()
    if are_wrapped(values, header.dtype.itemsize):
        raise InputError(
            "the numbers of the stack are unsigned, and its mode is that of signed ones: "
            f"those from {2 ** (8 * header.dtype.itemsize - 1):,} on are read as negative",
            file=stack.files[number],
            fix=_AS_UNSIGNED[header.dtype.itemsize],
        )


def header_remarks(particles: Particles, headers: dict[int, MrcHeader]) -> list[str]:
    """A sentence if headers say another pixel size than the table, which holds, as it does for RELION."""
    other = {
        number: header.pixel_size[0]
        for number, header in headers.items()
        if header.pixel_size[0] not in UNKNOWN_PIXEL
        and abs(header.pixel_size[0] - particles.pixel_size) > SAME_PIXEL * particles.pixel_size
    }
    if not other:
        return []
    number, stated = next(iter(other.items()))
    whose = f"The header of {_name(particles, number)} says a pixel size of {stated:.4g} Å"
    count = len(other) - 1
    others = f"do those of {count:,} more stacks" if count > 1 else "does that of one more stack"
    more = f" (as {others}: another size than the table)" if count else ""
    in_nm = abs(stated - A_PER_NM * particles.pixel_size) <= SAME_PIXEL * stated
    fix = f" Fix: give the table {stated:.4g} Å, if its pixel size is in nm." if in_nm else ""
    return [f"{whose}{more}; that of the table is used, {particles.pixel_size:.4g} Å.{fix}"]


def _name(particles: Particles, number: int) -> str:
    return Path(particles.images.files[number]).name
