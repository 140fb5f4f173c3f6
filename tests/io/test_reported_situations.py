"""Files as public reports show them: the result is that of the plain set, or the error names file, row and fix.

Each case is named after its report. The sets are those of ``small_sets``: 40 images of 16 pixels, two stacks.
"""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.checks import check_particles
from cryorbit.io.mrc import read_map
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.posed import posed_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.config import load_config
from cryorbit.recipes.reconstruct import ReconstructConfig
from small_sets import BOX, COUNT, PIXEL_SIZE, save_cs, write_stack

Change = Callable[[Path], object]
HALF = COUNT // 2


def stack_of(star: Path, name: str = "a") -> Path:
    return star.parent / "Extract" / f"{name}.mrcs"


def content(change: Callable[[bytes], bytes]) -> Change:
    """A change of the bytes of the table."""
    return lambda file: file.write_bytes(change(file.read_bytes()))


def text(old: str, new: str, count: int = -1) -> Change:
    """A change of text of the table, which must be there."""

    def change(file: Path) -> None:
        before = file.read_text()
        assert old in before
        file.write_text(before.replace(old, new, count))

    return change


def header(offset: int, kind: str, *values: float) -> Change:
    """A change of header fields of the first stack."""

    def change(star: Path) -> None:
        raw = bytearray(stack_of(star).read_bytes())
        struct.pack_into(kind, raw, offset, *values)
        stack_of(star).write_bytes(raw)

    return change


def empty_header(star: Path) -> None:
    """Only sizes and mode are left: no grid, cell, axes, stamp."""
    raw = stack_of(star).read_bytes()
    stack_of(star).write_bytes(raw[:16].ljust(1024, b"\0") + raw[1024:])


def other_byte_order(star: Path) -> None:
    raw = stack_of(star).read_bytes()
    words = np.frombuffer(raw[:208], "<i4").astype(">i4").tobytes()
    values = np.frombuffer(raw[1024:], "<f4").astype(">f4").tobytes()
    stack_of(star).write_bytes(words + b"MAP \x11\x11\0\0" + raw[216:1024] + values)


def one_optics_group_too_many(star: Path) -> None:
    text("_rlnImageDimensionality #8\n", "_rlnImageDimensionality #8\n_rlnOpticsGroup1 #8\n")(star)
    text(" 16 2\n", " 16 2 1\n")(star)


RIGHT: dict[str, Change] = {
    "asarnow/pyem#103: a label rlnOpticsGroup1, numbers given twice": one_optics_group_too_many,
    "asarnow/pyem#37: blanks before the labels": text("\n_rln", "\n _rln"),
    "teamtomo/starfile#81: no numbers": content(
        lambda raw: b"\n".join(line.split(b" #")[0] for line in raw.split(b"\n"))
    ),
    "line ends of Windows": content(lambda raw: raw.replace(b"\n", b"\r\n")),
    "line ends of old Macs": content(lambda raw: raw.replace(b"\n", b"\r")),
    "a byte-order mark": content(lambda raw: b"\xef\xbb\xbf" + raw),
    "asarnow/pyem#40: data_images": text("data_particles", "data_images"),
    "a block of another name": text("data_particles", "data_rln"),
    "warpem/warp#294: a header of zeros": empty_header,
    "3dem/relion#844: a big-endian stack among others": other_byte_order,
}


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT.keys())
def test_the_same_particles(star_set: Path, images: np.ndarray, change: Change) -> None:
    plain = read_particles(star_set)
    change(star_set)
    found = read_particles(star_set)
    assert_same(found, plain)
    np.testing.assert_array_equal(found.images.read(np.arange(COUNT)).numpy(), images)
    assert len(check_particles(found).keep) == COUNT


def assert_same(found: Particles, plain: Particles) -> None:
    """What the tables say of the particles is the same."""
    assert found.poses is not None and plain.poses is not None
    assert torch.equal(found.poses.rotations, plain.poses.rotations)
    assert torch.equal(found.poses.shifts, plain.poses.shifts)
    assert torch.equal(found.ctf.defocus_u, plain.ctf.defocus_u)
    assert torch.equal(found.ctf.voltage, plain.ctf.voltage)
    assert (found.pixel_size, found.box) == (plain.pixel_size, plain.box)


@pytest.mark.parametrize("kind", [np.float16, np.int16, np.uint16])
def test_kinds_of_values_mixed_in_a_set(star_set: Path, images: np.ndarray, kind: type) -> None:
    """cryodrgn#49, topaz#97, emClarity#97: modes 12, 1 and 6 beside mode 2."""
    scaled = images[:HALF] if kind is np.float16 else (1000 * images[:HALF] + 30000 * (kind is np.uint16)).round()
    write_stack(stack_of(star_set), scaled.astype(kind))
    particles = read_particles(star_set)
    found = particles.images.read(np.arange(COUNT)).numpy()
    np.testing.assert_array_equal(found[:HALF], scaled.astype(kind).astype(np.float32))
    np.testing.assert_array_equal(found[HALF:], images[HALF:])
    assert len(check_particles(particles).keep) == COUNT


REFUSED: dict[str, tuple[Change, str, int | None, str]] = {
    "3dem/relion#849: a label twice": (
        text("_rlnImagePixelSize #6", "_rlnOpticsGroup #6"),
        "'rlnOpticsGroup' occurs twice",
        12,
        "remove the column",
    ),
    "3dem/relion#890: coordinates and no images": (
        text("_rlnImageName", "_rlnCoordinateX"),
        "no table has the column rlnImageName",
        None,
        "not one of micrographs or coordinates",
    ),
    "cryoem-uoft/cryosparc-issues#154: half of the stacks missing": (
        lambda star: stack_of(star, "b").unlink(),
        "1 of 2 image files are missing",
        HALF + 1,
        "--data-dir",
    ),
    "3dem/relion#519: another box in the table": (
        text(" 16 2\n", " 18 2\n"),
        "the images are 16 x 16 pixels, not 18 x 18",
        None,
        "correct rlnImageSize",
    ),
    "3dem/relion#519: stacks of two boxes": (
        lambda star: write_stack(stack_of(star), np.ones((HALF, 18, 18), np.float32)),
        "the images are 18 x 18 pixels, not 16 x 16",
        None,
        "give the stack the table was made for",
    ),
    "3dem/relion#844: a mode that is none": (
        header(12, "<i", 154285104),
        "Unrecognised mode '154285104'",
        None,
        "mode 0, 1, 2, 6 or 12",
    ),
    "3dem/relion#844: a size that is none": (
        header(8, "<i", 154285104),
        "the stack is cut short",
        None,
        "copy the stack again",
    ),
    "teamtomo/starfile#70: an optics table without rows": (
        text(
            "krios 1 300.000000 2.700000 0.100000 2.000000 16 2\ntalos 2 200.000000 2.000000 0.070000 2.000000 16 2", ""
        ),
        "the optics group of the particle is not in data_optics",
        1,
        "add the group to data_optics",
    ),
}


@pytest.mark.parametrize(("change", "problem", "row", "fix"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(star_set: Path, change: Change, problem: str, row: int | None, fix: str) -> None:
    change(star_set)
    with pytest.raises(InputError) as caught:
        check_particles(read_particles(star_set))
    assert problem in caught.value.problem
    assert (caught.value.row or caught.value.line) == row
    assert caught.value.file in (star_set, stack_of(star_set))
    assert caught.value.fix is not None
    assert fix in caught.value.fix


def with_fields(file: Path, **fields: np.ndarray) -> None:
    """Add fields to the records of a ``.cs`` file, or replace them; ``__`` stands for a slash."""
    records = np.load(file)
    new = {name.replace("__", "/"): values for name, values in fields.items()}
    kinds = [(name, records.dtype[name]) for name in records.dtype.names if name not in new]
    changed = np.zeros(
        len(records), [*kinds, *((name, values.dtype, values.shape[1:]) for name, values in new.items())]
    )
    for name in changed.dtype.names or ():
        changed[name] = new[name] if name in new else records[name]
    save_cs(file, changed)


def test_alignments_of_classes_beside_those_of_the_particle(cs_set: Path, rng: np.random.Generator) -> None:
    """asarnow/pyem#59: ``alignments_class_0`` and the like are not the pose."""
    plain = read_particles(cs_set)
    for number in range(3):
        poses, shifts = (rng.normal(size=(COUNT, size)).astype(np.float32) for size in (3, 2))
        with_fields(cs_set, **{f"alignments_class_{number}__pose": poses, f"alignments_class_{number}__shift": shifts})
    assert_same(read_particles(cs_set), plain)


def test_alignments_in_both_files_are_those_of_the_main_one(cs_set: Path, rng: np.random.Generator) -> None:
    """asarnow/pyem#130."""
    plain = read_particles(cs_set)
    poses, shifts = (rng.normal(size=(COUNT, size)).astype(np.float32) for size in (3, 2))
    handed = cs_set.with_name("J7_passthrough_particles.cs")
    with_fields(handed, alignments3D__pose=poses, alignments3D__shift=shifts)
    assert_same(read_particles(cs_set), plain)


def test_alignments_in_the_passthrough_file_alone(cs_set: Path) -> None:
    """asarnow/pyem#130: what was main and what was handed through change places, rows in another order."""
    plain = read_particles(cs_set)
    handed = cs_set.with_name("J7_passthrough_particles.cs")
    aligned, imaged = np.load(cs_set), np.load(handed)
    save_cs(cs_set, imaged)
    save_cs(handed, aligned)
    found = read_particles(cs_set)
    order = [imaged["uid"].tolist().index(uid) for uid in aligned["uid"].tolist()]
    assert_same(found.subset(np.array(order)), plain)


@pytest.mark.parametrize(
    ("index", "problem", "row"),
    [
        (np.r_[-1, np.arange(1, COUNT)].astype(np.int32), "'000000@J3/stack.mrc' is not of the form", 1),
        (np.arange(COUNT, dtype=np.float32), "the field blob/idx is not of the expected type", None),
    ],
)
def test_an_index_that_is_none(cs_set: Path, index: np.ndarray, problem: str, row: int | None) -> None:
    with_fields(cs_set, blob__idx=index)
    with pytest.raises(InputError) as caught:
        read_particles(cs_set)
    assert problem in caught.value.problem
    assert (caught.value.file, caught.value.row) == (cs_set, row)


@pytest.mark.parametrize("path", [np.array([b">J3/stack.mrc"], "S60"), np.array([">J3/stack.mrc"])])
def test_paths_of_either_kind_of_text(cs_set: Path, images: np.ndarray, path: np.ndarray) -> None:
    with_fields(cs_set.with_name("J7_passthrough_particles.cs"), blob__path=np.repeat(path, COUNT))
    np.testing.assert_array_equal(read_particles(cs_set).images.read(np.arange(COUNT)).numpy(), images)


@pytest.mark.parametrize("axes", [(1, 2, 3), (3, 2, 1), (2, 1, 3)])
def test_a_map_whose_axes_are_in_another_order(tmp_path: Path, rng: np.random.Generator, axes: tuple[int, ...]) -> None:
    """salilab/imp#1053; its header also says that it is a stack (space group 0)."""
    volume = rng.normal(size=(BOX, BOX, BOX)).astype(np.float32)
    # what runs along columns, rows and sections: x, y, z are the last to the first axis of the volume
    stored = volume.transpose([3 - axis for axis in reversed(axes)])
    file = tmp_path / "map.mrc"
    write_stack(file, np.ascontiguousarray(stored))
    raw = bytearray(file.read_bytes())
    struct.pack_into("<3i", raw, 64, *axes)
    struct.pack_into("<3i", raw, 28, BOX, BOX, BOX)
    struct.pack_into("<3f", raw, 40, *(3 * [BOX * PIXEL_SIZE]))
    file.write_bytes(raw)
    found, size = read_map(file)
    np.testing.assert_array_equal(found.numpy(), volume)
    assert size == PIXEL_SIZE


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_settings_of_other_systems(star_set: Path, mark: bytes, end: bytes) -> None:
    """Editors of Windows begin a file with a mark and end lines in two characters."""
    file = star_set.with_name("settings.toml")
    file.write_bytes(mark + end.join([b"seed = 3", b'symmetry = "D2"', b""]))
    given = {"particles": star_set, "output": star_set.parent / "job"}
    config = load_config(ReconstructConfig, file, given)
    assert (config.seed, config.symmetry) == (3, "D2")


def test_angles_of_a_classification_in_two_dimensions_are_no_poses(star_set: Path) -> None:
    table = read_star(star_set)
    flat = table["particles"].assign(rlnAngleRot=0.0, rlnAngleTilt=0.0)
    write_star(star_set.with_name("flat.star"), table | {"particles": flat})
    with pytest.raises(InputError, match="all particles have the same view") as caught:
        posed_particles(read_particles(star_set.with_name("flat.star")))
    assert "cryorbit abinit" in str(caught.value)


def test_images_without_a_ctf(cs_set: Path) -> None:
    """Negative stain: fields of the CTF may be missing where the user says that there is none."""
    for file in (cs_set, cs_set.with_name("J7_passthrough_particles.cs")):
        records = np.load(file)
        save_cs(file, records[[name for name in records.dtype.names if not name.startswith("ctf/")]])
    with pytest.raises(InputError, match=r"(?s)no field ctf/df1_A.*--no-ctf"):
        read_particles(cs_set)
    assert read_particles(cs_set, ctf=False).ctf.is_absent


def test_poses_of_classes_alone(cs_set: Path) -> None:
    records = np.load(cs_set)
    names = [name.replace("alignments3D", "alignments_class_0") for name in records.dtype.names]
    records.dtype.names = tuple(names)
    save_cs(cs_set, records)
    with pytest.raises(InputError, match="no poses of one map, but those of alignments_class_0/pose"):
        posed_particles(read_particles(cs_set))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("image_name\tx_coord\ty_coord\tscore\nm1\t10\t20\t1.0\n", "picks of Topaz"),
        ("10 20 64 64\n30 40 64 64\n", "file of boxes"),
        ("10\t20\t64\t64\t-3\n", "file of boxes"),
        ("#LSX\n# x\n0 a.hdf\n", "list of images of EMAN"),
        ("particles.mrcs\n", "list of stacks"),
    ],
)
def test_tables_of_other_programs(tmp_path: Path, content: str, what: str) -> None:
    file = tmp_path / "table.txt"
    file.write_text(content)
    with pytest.raises(InputError, match=what):
        read_particles(file)
