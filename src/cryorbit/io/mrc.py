"""MRC files: headers and maps.

Voxel sizes are cell / grid (``cella / mx``), never cell / box. Modes 0 (int8), 1 (int16), 2 (float32), 6 (uint16) and
12 (float16) are read, in either byte order. Bytes are unsigned under the stamp of IMOD, unless its flags say
otherwise.

A map that ends before its pixels do says so in a label of its header (``cryorbit: data to 24.0000 A``): the label goes
wherever the file is copied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Literal

import mrcfile
import numpy as np
import torch
from jaxtyping import Float
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.utils import data_dtype_from_header
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.io.atomic import atomic_path

HEADER_BYTES = 1024
KEPT_HEADERS = 2**13
"""Headers whose meaning is kept, 8 MB of them at most: images are read from one stack many times, and to read a header
is soon done, to parse it takes a millisecond."""
BIG_ENDIAN_STAMP = 0x11
IMOD_STAMP, IMOD_SIGNED_BYTES = 1146047817, 1
"""The stamp before the flags of IMOD, and the flag that bytes are signed (IMOD's page on the format)."""
_IMOD = slice(152, 160)
MODES = (0, 1, 2, 6, 12)
COMPRESSED = {"gzip": b"\x1f\x8b\x08", "bzip2": b"BZh", "xz": b"\xfd7zXZ", "zstd": b"\x28\xb5\x2f\xfd"}
"""How files of these programs begin."""
STACK = ".mrcs"
"""Suffix of stacks of images, with most programs."""
STATE_SIZE = "write the voxel size in A into the header (cryorbit resample --source-pixel-size)"
"""What helps where a header states none."""
PROGRAM = "cryorbit"
_HOLDS_TO = re.compile(rf"{PROGRAM}: data to (\d+(?:\.\d+)?) A")


@dataclass(frozen=True, slots=True)
class MrcHeader:
    """What the header says of the data block.

    Attributes
    ----------
    shape
        Sections, rows, columns.
    dtype
        Type of a value, with its byte order.
    offset
        Bytes before the first value.
    pixel_size
        Voxel size along the three axes ``(x, y, z)``, A; 0 where the header does not say.
    axes
        Which of x, y, z (1, 2, 3) columns, rows and sections run along.
    holds_to_A
        Resolution in A to which the map holds data; None where no label says so.
    is_stack
        Whether the sections are said to be images of their own, or volumes of their own, rather than one map.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    offset: int
    pixel_size: tuple[float, float, float]
    axes: tuple[int, int, int]
    holds_to_A: float | None = None  # noqa: N815 (units belong to the name)
    is_stack: bool = False

    @property
    def voxel_size(self) -> float:
        """Voxel size along the columns, A; 0 where the header does not state all three."""
        return self.pixel_size[0] if all(self.pixel_size) else 0.0

    @property
    def section_bytes(self) -> int:
        """Bytes of one section, that is of one image of a stack."""
        return self.shape[1] * self.shape[2] * self.dtype.itemsize

    @property
    def file_bytes(self) -> int:
        """Bytes the whole file must have."""
        return self.offset + self.shape[0] * self.section_bytes


def read_header(path: Path | str) -> MrcHeader:
    """The header of an MRC file.

    Raises
    ------
    InputError
        The file cannot be opened, is not an MRC file, or holds a kind of values that is not read.
    """
    try:
        with Path(path).open("rb") as handle:
            return parse_header(handle, path)
    except OSError as error:
        raise InputError(
            f"the file cannot be read ({error.strerror})", file=path, fix="check the name and the permissions"
        ) from error


def parse_header(handle: BinaryIO, path: Path | str) -> MrcHeader:
    """The header of an open MRC file; ``path`` is for the errors, which are those of `read_header`."""
    raw = handle.read(HEADER_BYTES)
    for program, mark in COMPRESSED.items():
        if raw.startswith(mark):
            raise InputError(f"the file is compressed ({program})", file=path, fix="unpack it first")
    try:
        return _parsed(raw)
    except ValueError as error:
        raise InputError(f"this is not an MRC file {error}", file=path, fix=_MODES) from error


@lru_cache(KEPT_HEADERS)
def _parsed(raw: bytes) -> MrcHeader:
    """What the bytes of a header say; `ValueError` with the end of a sentence if they are none."""
    try:
        header = _fields(raw)
        dtype = _type_of_values(header, raw)
    except ValueError as error:
        raise ValueError(f"that can be read ({error})") from error
    shape = (int(header.nz), int(header.ny), int(header.nx))
    if int(header.mode) not in MODES or min(shape) < 1 or int(header.nsymbt) < 0:
        raise ValueError(f"of real images (size {shape}, values {dtype})")
    grid = np.array([header.mx, header.my, header.mz], dtype=np.float64)
    cell = np.array([header.cella.x, header.cella.y, header.cella.z], dtype=np.float64)
    known = (grid > 0) & np.isfinite(cell) & (cell > 0)
    sizes = np.divide(cell, grid, out=np.zeros(3), where=known)
    axes = (int(header.mapc), int(header.mapr), int(header.maps))
    return MrcHeader(
        shape=shape,
        dtype=dtype,
        offset=HEADER_BYTES + int(header.nsymbt),
        pixel_size=(float(sizes[0]), float(sizes[1]), float(sizes[2])),
        axes=axes if sorted(axes) == [1, 2, 3] else (1, 2, 3),
        holds_to_A=_holds_to(header),
        is_stack=_is_stack(header),
    )


def require_complete(path: Path, header: MrcHeader, what: Literal["map", "stack"]) -> None:
    """Raise `InputError` if the file has fewer bytes than its header promises.

    Programs that copy a header and not the extended header behind it leave ``nsymbt`` at the old length: the values
    then begin earlier than it says (ccpem/mrcfile#51).
    """
    size = path.stat().st_size
    if size >= header.file_bytes:
        return
    extended = header.offset - HEADER_BYTES
    if extended and size == header.file_bytes - extended:
        raise InputError(
            f"the header promises an extended header of {extended:,} bytes, which is not there",
            file=path,
            fix=f"set nsymbt (bytes 92 to 95 of the header) to 0, or export the {what} again",
        )
    raise InputError(
        f"the {what} is cut short: {size} bytes where its header promises {header.file_bytes}",
        file=path,
        fix=_AGAIN[what],
    )


def read_map_header(path: Path | str) -> MrcHeader:
    """The header of a map.

    Raises
    ------
    InputError
        As for `read_header`, or the file is a stack or a single image by its name or header, or is cut short.
    """
    header = read_header(path)
    if header.is_stack or Path(path).suffix.lower() == STACK or header.shape[0] == 1:
        columns, rows, sections = header.shape[::-1]
        held = f"a stack of {sections:,} images" if sections > 1 else "one image"
        raise InputError(
            f"this is {held} of {columns} x {rows} pixels, not a map",
            file=path,
            fix="give a map; of particles, give the table that names their images (.star or .cs)",
        )
    # a cut file must be refused before memory for what its header promises is asked for
    require_complete(Path(path), header, "map")
    return header


def read_map(path: Path | str, unstated: float | None = None) -> tuple[Float[Tensor, "z y x"], float]:
    """A map, float32, and its voxel size in A; axes stored in another order are brought to ``[z, y, x]``.

    Parameters
    ----------
    path
        The file.
    unstated
        Voxel size to give where the header states none. None: that is an error.

    Raises
    ------
    InputError
        As for `read_map_header`, or the file holds values that are not finite, or does not state its voxel size or
        states three different ones.
    """
    header = read_map_header(path)
    size = unstated if unstated is not None and not all(header.pixel_size) else _voxel_size(header, path)
    count = int(np.prod(header.shape))
    values = np.fromfile(path, header.dtype, count, offset=header.offset).reshape(header.shape)
    stored = header.axes[::-1]
    volume = values.transpose([stored.index(axis) for axis in (3, 2, 1)]).astype(np.float32)
    if not np.isfinite(volume).all():
        raise InputError("the map holds values that are not finite", file=path, fix="export the map again")
    return torch.from_numpy(np.ascontiguousarray(volume)), size


def write_map(
    path: Path | str, volume: Float[Tensor, "z y x"], pixel_size: float, holds_to_A: float | None = None
) -> None:
    """Write a map as float32 with its voxel size (A), origin and grid start 0; whole or not at all.

    A label says to which resolution it holds data, ``holds_to_A``, if that is given.
    """
    with atomic_path(path) as temporary, mrcfile.new(temporary, overwrite=True) as file:
        file.set_data(volume.detach().to("cpu", torch.float32).numpy())
        file.set_volume()
        file.voxel_size = pixel_size
        # the library's own label holds the time: the same map would not give the same file
        labels = [PROGRAM] if holds_to_A is None else [PROGRAM, f"{PROGRAM}: data to {holds_to_A:.4f} A"]
        for number, label in enumerate(labels):
            file.header.label[number] = label.encode()
        file.header.nlabl = len(labels)


def _fields(raw: bytes) -> np.recarray:
    """The fields of a header; its byte order is the stamped one, or the other where only that gives a legal mode.

    The library's own reader would also load the extended header, which may be megabytes, at every read.
    """
    if len(raw) < HEADER_BYTES:
        raise ValueError(f"it has {len(raw)} bytes, a header has {HEADER_BYTES}")
    header = np.frombuffer(raw, HEADER_DTYPE).reshape(()).view(np.recarray)
    big_endian = header.machst[0] == BIG_ENDIAN_STAMP
    orders = (">", "<") if big_endian else ("<", ">")
    views = [header.view(HEADER_DTYPE.newbyteorder(order)) for order in orders]
    return next((view for view in views if int(view.mode) in MODES), views[0])


def _type_of_values(header: np.recarray, raw: bytes) -> np.dtype:
    """Type of the values; bytes are signed by the standard, and unsigned for IMOD unless a flag says otherwise."""
    dtype: np.dtype = data_dtype_from_header(header)
    stamp, flags = np.frombuffer(raw[_IMOD], header.mode.dtype)
    if dtype == np.int8 and stamp == IMOD_STAMP and not flags & IMOD_SIGNED_BYTES:
        return np.dtype(np.uint8)
    return dtype


def _is_stack(header: np.recarray) -> bool:
    """Whether there are several times the sections of the grid, which spans the other axes.

    The space group tells nothing: RELION, ChimeraX and others give maps that of stacks. Only maps have their axes in
    another order.
    """
    depth, sections = int(header.mz), int(header.nz)
    reordered = int(header.maps) in (1, 2)
    spanned = int(header.mx) >= int(header.nx) and int(header.my) >= int(header.ny)
    return not reordered and spanned and 0 < depth < sections and sections % depth == 0


def _holds_to(header: np.recarray) -> float | None:
    """The resolution that a label states; the coarsest, if programs have copied several."""
    matches = [_HOLDS_TO.search(bytes(label).decode("latin-1")) for label in header.label]
    return max((float(match[1]) for match in matches if match), default=None)


def _voxel_size(header: MrcHeader, path: Path | str) -> float:
    sizes = np.array(header.pixel_size)
    if not sizes.all():
        raise InputError("the map does not state its voxel size", file=path, fix=STATE_SIZE)
    if np.ptp(sizes) > 1e-3 * sizes.mean():
        raise InputError(
            f"the voxel is not a cube ({sizes.round(4).tolist()} Å)", file=path, fix="resample the map to cubes"
        )
    return float(sizes[0])


_AGAIN = {
    "map": "copy or export the map again",
    "stack": "copy the stack again, or extract the particles again",
}
_MODES = "give an uncompressed MRC file of mode 0, 1, 2, 6 or 12; copy or make it again if its header is damaged"
