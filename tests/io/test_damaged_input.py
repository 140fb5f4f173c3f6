"""Damaged particle sets: every kind below is refused with an error that names the file and the fix.

STAR files: absent; a folder; empty; comments only; binary; not UTF-8; prose; no table of particles (micrographs); no
rows; a row cut short; two rows glued; a column twice; a block twice; two tables in a block; a label without a value;
a word for a number; no defocus; no image names; no optics block; an optics group that is not there, or twice; two
pixel sizes; two boxes; an odd box; a pixel size of 0, of nan, or none; subtomograms; phase-flipped
images; some images CTF-multiplied; a half-set 3; an image number 0; an image name
without a file, of a folder, or too long for one; an infinite angle.
Stacks: absent; shorter than the table says; cut short; empty; a header of zeros; complex values; another box; all
images NaN; all images constant; defocus in micrometres.
cryoSPARC files: absent; no numpy file; pickled; cut short; records without uid; no records; a uid twice; no CTF and no
passthrough; a passthrough of other particles; a stack that is not there; an index beyond the stack; a pixel size of 0.
"""

import re
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.core.errors import InputError
from cryorbit.io.checks import check_particles
from cryorbit.io.particles import read_particles, require_ctf
from small_sets import BOX, blob_images, save_cs, write_cs_set, write_stack, write_star_set

Damage = Callable[[Path], object]


def replaced(old: str, new: str, count: int = -1) -> Damage:
    """Damage that replaces text of the STAR file, ``count`` times or everywhere."""

    def damage(star: Path) -> None:
        text = star.read_text()
        assert old in text
        star.write_text(text.replace(old, new, count))

    return damage


def written(content: bytes) -> Damage:
    """Damage that replaces the whole file."""
    return lambda path: path.write_bytes(content)


def with_column(label: str, value: str, others: str = "0") -> Damage:
    """Damage that adds a column, of ``value`` in the first row and ``others`` in all others, to the particles."""

    def damage(star: Path) -> None:
        replaced("_rlnBeamTiltClass #13\n", f"_rlnBeamTiltClass #13\n_{label} #14\n")(star)
        replaced(" 0007\n", f" 0007 {others}\n")(star)
        replaced(f" 0007 {others}\n", f" 0007 {value}\n", 1)(star)

    return damage


def with_optics_column(label: str, first: str, second: str) -> Damage:
    """Damage that adds a column to the optics groups."""

    def damage(star: Path) -> None:
        replaced("_rlnImageDimensionality #8\n", f"_rlnImageDimensionality #8\n_{label} #9\n")(star)
        replaced(" 16 2\ntalos", f" 16 2 {first}\ntalos")(star)
        replaced(" 16 2\n\n", f" 16 2 {second}\n\n")(star)

    return damage


def without_column(label: str) -> Damage:
    """Damage that renames a column, so that it is not found."""
    return replaced(f"_{label} ", "_rlnSomethingElse ")


STAR_DAMAGES: dict[str, tuple[Damage, str]] = {
    "absent": (lambda star: star.unlink(), "cannot be read"),
    "a folder": (lambda star: (star.unlink(), star.mkdir()), "this is a folder"),
    "empty": (written(b""), "holds no data block"),
    "comments only": (written(b"# version 30001\n\n"), "holds no data block"),
    "binary": (written(bytes(range(32)) * 40), "binary, not text"),
    "not UTF-8": (written(b"data_\nloop_\n_rlnImageName\n1@caf\xe9.mrcs\n"), "not valid UTF-8"),
    "prose": (written(b"These are my particles.\n"), "holds no data block"),
    "an image stack": (
        lambda star: star.write_bytes((star.parent / "Extract" / "a.mrcs").read_bytes()),
        "an MRC file of images",
    ),
    "zeros without end": (lambda star: (star.unlink(), star.symlink_to("/dev/zero")), "a device or a pipe"),
    "micrographs": (replaced("_rlnImageName", "_rlnMovieName"), "no table has the column rlnImageName"),
    "no rows": (lambda star: star.write_text(star.read_text().split("000001@")[0]), "has no rows"),
    "row cut short": (replaced(" 0007\n", "\n", 1), "12 values in a table of 13 columns"),
    "rows glued": (replaced(" 0007\n", " 0007 ", 1), "26 values in a table of 13 columns"),
    "column twice": (replaced("_rlnDefocusV ", "_rlnDefocusU "), "'rlnDefocusU' occurs twice"),
    "block twice": (replaced("data_optics", "data_particles"), "a second block data_particles"),
    "two tables in a block": (replaced("data_particles\n", ""), "a second table in one block"),
    "label without value": (replaced("data_optics\n\nloop_\n", "data_optics\n\n"), "rlnOpticsGroupName has 0 values"),
    "word for a number": (replaced(" 10010.00 ", " none "), "rlnDefocusU is 'none'"),
    "no defocus": (without_column("rlnDefocusU"), "no column rlnDefocusU"),
    "no astigmatism angle": (without_column("rlnDefocusAngle"), "no column rlnDefocusAngle"),
    "no voltage": (without_column("rlnVoltage"), "no column rlnVoltage"),
    "no optics block": (replaced("data_optics", "data_others"), "no block data_optics"),
    "optics groups without numbers": (
        replaced("_rlnOpticsGroup #2", "_rlnOpticsGroup1 #2"),
        "data_optics has no column rlnOpticsGroup",
    ),
    "unknown optics group": (replaced("\ntalos 2 ", "\ntalos 3 "), "is not in data_optics"),
    "optics group twice": (replaced("\ntalos 2 ", "\ntalos 1 "), "defined twice"),
    "two pixel sizes": (replaced("2.000000 16 2\n\n", "2.010000 16 2\n\n"), "pixel size is 2 for some"),
    "two boxes": (replaced(" 16 2\n\n", " 18 2\n\n"), "image size is 16 for some"),
    "odd box": (replaced(" 16 2\n", " 15 2\n"), "15 pixels, an odd number"),
    "pixel size 0": (replaced(" 2.000000 16", " 0 16"), "pixel size is 0"),
    "pixel size nan": (replaced(" 2.000000 16", " nan 16"), "pixel size is nan"),
    "no pixel size": (without_column("rlnImagePixelSize"), "there is no pixel size"),
    "subtomograms": (replaced(" 16 2\n", " 16 3\n"), "not 2-D images"),
    "phase-flipped": (with_optics_column("rlnCtfDataArePhaseFlipped", "1", "1"), "phase-flipped"),
    "some CTF-multiplied": (with_optics_column("rlnCtfDataAreCtfPremultiplied", "1", "0"), "and others not"),
    "half-set 3": (replaced(" 2 0007\n", " 3 0007\n", 1), "rlnRandomSubset is 3"),
    "image number 0": (replaced("000001@", "000000@", 1), "'000000@Extract/a.mrcs' is not of the form"),
    "image number beyond all sense": (replaced("000001@", "99999999999999999999@", 1), "is not of the form"),
    "image name of a folder": (replaced("000001@Extract/a.mrcs", "000001@/", 1), "is not there"),
    "endless image name": (replaced("000001@Extract/a.mrcs", "000001@" + 300 * "a", 1), "is not there"),
    "image name without file": (replaced("000001@Extract/a.mrcs", "000001@", 1), "is not of the form"),
    "defocus in micrometres": (
        lambda star: (
            replaced("_rlnDefocusU ", "_rlnOld ")(star),
            replaced("Class #13", "Class #13\n_rlnDefocusU #14")(star),
            star.write_text(re.sub(r" 0007$", " 0007 1.2", star.read_text(), flags=re.MULTILINE)),
        ),
        "a defocus outside",
    ),
    "phase shifts in radians": (with_column("rlnPhaseShift", "1.5708", "1.2"), "all phase shifts lie between 0 and pi"),
    "phase shifts in parts of pi": (
        with_column("rlnPhaseShift", "0.5", "0.4"),
        "all phase shifts lie between 0 and pi",
    ),
    "no class of a number": (with_column("rlnClassNumber", "2.5"), "rlnClassNumber is 2.5, not a whole number"),
    "optics group not set": (replaced("mic000.mrc 1 ", "mic000.mrc nan ", 1), "rlnOpticsGroup is nan"),
    "half-set not set": (replaced(" 2 0007\n", " - 0007\n", 1), "rlnRandomSubset is -, not 1 or 2"),
    "pixel size in metres": (replaced(" 2.000000 16", " 2e-10 16"), "a pixel size outside 0.2 to 100 Å"),
    "spherical aberration in um": (
        replaced(" 2.700000 ", " 2700 "),
        "a spherical aberration outside 0 to 20 mm",
    ),
    "tilt series in 2-D stacks": (with_column("rlnTomoVisibleFrames", "[1,1,1]"), "these are tomographic particles"),
    "an option of tilt series": (
        replaced("data_optics", "data_general\n\n_rlnTomoSubTomosAre2DStacks 1\n\ndata_optics"),
        "these are tomographic particles",
    ),
}


def _edit_header(path: Path, **fields: object) -> None:
    with mrcfile.open(path, "r+") as file:
        for name, value in fields.items():
            file.header[name] = value


STACK_DAMAGES: dict[str, tuple[Damage, str]] = {
    "absent": (lambda stack: stack.unlink(), "1 of 2 image files are missing"),
    "fewer images": (
        lambda stack: write_stack(stack, np.ones((19, BOX, BOX), np.float32)),
        "image 20 is needed (row 40 of particles.star), but the stack holds 19",
    ),
    "cut short": (lambda stack: written(stack.read_bytes()[:-1])(stack), "cut short: 21503 bytes"),
    "empty": (written(b""), "not an MRC file"),
    "zeros": (written(bytes(4096)), "not an MRC file"),
    "complex": (lambda stack: _edit_header(stack, mode=4), "not an MRC file"),
    "unknown mode": (lambda stack: _edit_header(stack, mode=101), "not an MRC file"),
    "negative size": (lambda stack: _edit_header(stack, nz=-20), "not an MRC file"),
    "endless extended header": (lambda stack: _edit_header(stack, nsymbt=2**31 - 1), "promises an extended header"),
    "another box": (lambda stack: write_stack(stack, np.ones((20, 18, 18), np.float32)), "18 x 18 pixels, not 16 x 16"),
    "not a number": (
        lambda stack: written(stack.read_bytes()[:1024] + b"\xff" * 4 * 20 * BOX**2)(stack),
        "20 of 40 particles are unusable; this one has pixels that are not finite",
    ),
    "constant": (
        lambda stack: write_stack(stack, np.ones((20, BOX, BOX), np.float32)),
        "20 of 40 particles are unusable; this one has a constant image",
    ),
}


def _edit_cs(path: Path, **fields: object) -> None:
    records = np.load(path)
    for name, value in fields.items():
        records[name.replace("__", "/")] = value
    save_cs(path, records)


def _handed(cs: Path) -> Path:
    return cs.with_name("J7_passthrough_particles.cs")


CS_DAMAGES: dict[str, tuple[Damage, str]] = {
    "absent": (lambda cs: cs.unlink(), "cannot be read"),
    "no numpy file": (written(b"uid,pose\n1,2\n"), "not a .cs file"),
    "empty": (written(b""), "not a .cs file"),
    "pickled": (
        lambda cs: save_cs(cs, np.array([{"uid": 1}, None], dtype=object), allow_pickle=True),
        "not a .cs file",
    ),
    "cut short": (lambda cs: written(cs.read_bytes()[:-7])(cs), "not a .cs file"),
    "a zip archive": (
        lambda cs: (np.savez(cs.with_suffix(".npz"), a=np.ones(3)), cs.with_suffix(".npz").rename(cs)),
        "a zip archive",
    ),
    "compressed by cryoSPARC": (written(b"\x94CSDAT" + bytes(200)), "cryoSPARC's compressed form"),
    "a pointer": (written(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "a pointer of Git LFS"),
    "a folder": (lambda cs: (cs.unlink(), cs.mkdir()), "this is a folder"),
    "no uid": (
        lambda cs: save_cs(cs, np.load(cs)[["alignments3D/pose", "alignments3D/shift"]].copy()),
        "no records with a uid",
    ),
    "no records": (lambda cs: save_cs(cs, np.load(cs)[:0]), "the file has no particles"),
    "plain numbers": (lambda cs: save_cs(cs, np.arange(12.0)), "no records with a uid"),
    "uid twice": (lambda cs: _edit_cs(cs, uid=7), "a uid occurs twice"),
    "no passthrough": (lambda cs: _handed(cs).unlink(), "there is no field blob/path"),
    "other particles": (lambda cs: _edit_cs(_handed(cs), uid=np.arange(40)), "there is no field blob/path"),
    "absent stack": (lambda cs: _edit_cs(_handed(cs), blob__path=b"J3/no.mrc"), "1 of 1 image files are missing"),
    "index beyond the stack": (
        lambda cs: _edit_cs(_handed(cs), blob__idx=40 + np.arange(40)),
        "of J7_particles.cs), but the stack holds 40",
    ),
    "pixel size 0": (lambda cs: _edit_cs(_handed(cs), blob__psize_A=0), "pixel size is 0"),
    "sign 2": (lambda cs: _edit_cs(_handed(cs), blob__sign=2), "blob/sign is 2"),
}


def check_refused(path: Path, says: str, *files: Path) -> None:
    """The set at ``path`` is refused; the message says what, and names one of ``files`` and the fix."""
    with pytest.raises(InputError) as caught:
        particles = read_particles(path)
        require_ctf(particles)
        check_particles(particles)
    assert says in str(caught.value)
    assert any(file.name in str(caught.value) for file in files)
    assert caught.value.fix
    assert f"fix: {caught.value.fix}" in str(caught.value)


@pytest.mark.parametrize(("damage", "says"), STAR_DAMAGES.values(), ids=STAR_DAMAGES)
def test_damaged_star_files(star_set: Path, damage: Damage, says: str) -> None:
    damage(star_set)
    check_refused(star_set, says, star_set, star_set.parent / "Extract" / "a.mrcs")


@pytest.mark.parametrize(("damage", "says"), STACK_DAMAGES.values(), ids=STACK_DAMAGES)
def test_damaged_stacks(star_set: Path, damage: Damage, says: str) -> None:
    stack = star_set.parent / "Extract" / "b.mrcs"
    damage(stack)
    check_refused(star_set, says, stack, star_set)


@pytest.mark.parametrize(("damage", "says"), CS_DAMAGES.values(), ids=CS_DAMAGES)
def test_damaged_cs_files(cs_set: Path, damage: Damage, says: str) -> None:
    damage(cs_set)
    check_refused(cs_set, says, cs_set, _handed(cs_set), cs_set.parent.parent / "J3" / "stack.mrc")


def test_a_passthrough_given_by_name_must_hold_the_particles(cs_set: Path) -> None:
    _edit_cs(_handed(cs_set), uid=np.arange(40))
    with pytest.raises(InputError, match=r"J7_passthrough_particles\.cs: particles of J7_particles\.cs are missing"):
        read_particles(cs_set, passthrough=_handed(cs_set))


@pytest.mark.parametrize(
    ("damage", "row"),
    [
        (replaced(" 10010.00 ", " none "), 2),
        (replaced("000003@Extract/a.mrcs", "x@Extract/a.mrcs"), 3),
        (replaced("\ntalos 2 ", "\ntalos 3 "), 21),
        (replaced("Extract/b.mrcs", "Extract/c.mrcs"), 21),
    ],
)
def test_the_row_at_fault_is_named(star_set: Path, damage: Damage, row: int) -> None:
    damage(star_set)
    with pytest.raises(InputError, match=rf"particles\.star, row {row}:"):
        check_particles(read_particles(star_set))


@pytest.fixture(scope="module")
def whole_sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """For each kind of file, a particle set and the file of it that a byte will be changed in."""
    rng = np.random.default_rng(4)
    images = blob_images(40, rng)
    star = write_star_set(tmp_path_factory.mktemp("star"), images)
    cs = write_cs_set(tmp_path_factory.mktemp("cs"), images, rng)
    stack = star.parent / "Extract" / "a.mrcs"
    return {"star": (star, star), "stack": (star, stack), "cs": (cs, cs), "passthrough": (cs, _handed(cs))}


@pytest.mark.parametrize("kind", ["star", "stack", "cs", "passthrough"])
@settings(deadline=None, max_examples=100)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), head=st.booleans())
def test_one_wrong_byte_gives_a_set_or_an_input_error(
    whole_sets: dict[str, tuple[Path, Path]], kind: str, place: float, value: int, head: bool
) -> None:
    particles, file = whole_sets[kind]
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[int(place * (min(len(whole), 1100) if head else len(whole)))] = value
    file.write_bytes(damaged)
    try:
        check_particles(read_particles(particles))
    except InputError as error:
        assert error.fix
    finally:
        file.write_bytes(whole)
