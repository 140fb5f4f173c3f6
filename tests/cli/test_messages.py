"""What the command prints for damaged and for surprising input, word for word: ``messages.txt`` beside this file.

Each case is a command and what it meets. After a change that is meant, write the file anew and read the difference:
``python tests/cli/test_messages.py``.
"""

import contextlib
import errno
import gzip
import io
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import mrcfile
import numpy as np
import pytest

from cryorbit.cli.main import main
from small_sets import BOX, blob_images, write_cs_set, write_stack, write_star_set

GOLDEN = Path(__file__).with_name("messages.txt")
COUNT = 60
ABINIT = "abinit particles.star -o job --device cpu"
INSPECT = "inspect particles.star"
Damage = Callable[[Path], object]


def images() -> np.ndarray:
    return blob_images(COUNT, np.random.default_rng(3))


def nothing(_: Path) -> None:
    """Leave the set as it is."""


def text(old: str, new: str, count: int = -1) -> Damage:
    """Damage that replaces text of the STAR file."""

    def damage(folder: Path) -> None:
        star = folder / "particles.star"
        before = star.read_text()
        assert old in before
        star.write_text(before.replace(old, new, count))

    return damage


def star_bytes(content: bytes) -> Damage:
    return lambda folder: (folder / "particles.star").write_bytes(content)


def stack(change: Callable[[np.ndarray], np.ndarray], pixel_size: float = 2.0) -> Damage:
    """Damage that changes the images of the first stack."""
    return lambda folder: write_stack(folder / "Extract" / "a.mrcs", change(images()[: COUNT // 2]), pixel_size)


def pixels(value: float) -> Damage:
    """Damage that makes the fourth image of the first stack hold one value."""

    def damage(folder: Path) -> None:
        with (folder / "Extract" / "a.mrcs").open("r+b") as file:
            file.seek(1024 + 3 * 4 * BOX**2)
            file.write(np.full(BOX**2, value, "<f4").tobytes())

    return damage


def both_stacks(change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """Damage that changes the images of both stacks."""

    def damage(folder: Path) -> None:
        for name, part in {"a": images()[: COUNT // 2], "b": images()[COUNT // 2 :]}.items():
            write_stack(folder / "Extract" / f"{name}.mrcs", change(part))

    return damage


def big_endian(folder: Path) -> None:
    file = folder / "Extract" / "a.mrcs"
    with mrcfile.open(file, permissive=True) as old:
        header, data = old.header.copy(), old.data.copy()
    swapped = np.array(header).astype(header.dtype.newbyteorder(">"))
    swapped["machst"] = [0x11, 0x11, 0, 0]
    file.write_bytes(swapped.tobytes() + data.astype(">f4").tobytes())


def cut(folder: Path) -> None:
    file = folder / "Extract" / "a.mrcs"
    file.write_bytes(file.read_bytes()[:-100])


def version_30(folder: Path) -> None:
    rows = [
        f"{row % 30 + 1:06d}@Extract/{'ab'[row // 30]}.mrcs 300 2.7 0.1 10000 2.0 {10000 + row} {9900 + row} 30"
        for row in range(COUNT)
    ]
    labels = "ImageName Voltage SphericalAberration AmplitudeContrast Magnification DetectorPixelSize DefocusU DefocusV"
    head = "".join(f"_rln{label} #{number}\n" for number, label in enumerate([*labels.split(), "DefocusAngle"], 1))
    (folder / "particles.star").write_text(f"\ndata_\n\nloop_\n{head}" + "\n".join(rows) + "\n")


def six_groups(folder: Path) -> None:
    star = folder / "particles.star"
    more = "".join(f"more{group} {group} 300 2.7 0.1 2.0 16 2\n" for group in range(3, 7))
    content = star.read_text().replace("talos 2 ", more + "talos 2 ")
    lines = iter(range(COUNT))
    star.write_text(re.sub(r"(\.mrc) [12] (\d+\.\d\d )", lambda m: f"{m[1]} {next(lines) % 6 + 1} {m[2]}", content))


def cs_set(folder: Path) -> None:
    write_cs_set(folder, images(), np.random.default_rng(3))


def cs_alone(folder: Path) -> None:
    cs_set(folder)
    (folder / "J7" / "J7_passthrough_particles.cs").unlink()


def maps(folder: Path) -> None:
    for name, box in {"a": 16, "b": 18}.items():
        with mrcfile.new(folder / f"{name}.mrc") as file:
            file.set_data(np.random.default_rng(4).random((box, box, box), np.float32))
            file.voxel_size = 2.0


def used_folder(folder: Path) -> None:
    (folder / "job").mkdir()
    (folder / "job" / "job.json").write_text('{"verb": "abinit", "status": "finished"}')
    (folder / "job" / "report.html").touch()


def job_record(**entries: object) -> Damage:
    """Damage that leaves a folder of a job with these entries in its record."""

    def damage(folder: Path) -> None:
        (folder / "job").mkdir()
        (folder / "job" / "job.json").write_text(json.dumps({"status": "stopped", **entries}))

    return damage


def config(content: str) -> Damage:
    return lambda folder: (folder / "settings.toml").write_text(content)


def full_disk(_: Path) -> mock._patch:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "job/checkpoint/state.pt")
    return mock.patch("cryorbit.io.atomic._sync", side_effect=error)


def forbidden(_: Path) -> mock._patch:
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "job/checkpoint/state.pt")
    return mock.patch("cryorbit.io.atomic._sync", side_effect=error)


def no_memory(_: Path) -> mock._patch:
    return mock.patch("cryorbit.recipes.abinit.run.prepare", side_effect=MemoryError())


def read_only(folder: Path) -> None:
    for file in (folder / "particles.star", *(folder / "Extract").iterdir()):
        file.chmod(0o444)


def compressed(folder: Path) -> None:
    file = folder / "Extract" / "a.mrcs"
    file.write_bytes(gzip.compress(file.read_bytes(), mtime=0))


def bare_map(folder: Path) -> None:
    maps(folder)
    with mrcfile.open(folder / "a.mrc", "r+") as file:
        file.voxel_size = 0


CASES: dict[str, tuple[Damage, str]] = {
    # the table
    "no such file": (lambda folder: (folder / "particles.star").unlink(), ABINIT),
    "an empty file": (star_bytes(b""), ABINIT),
    "a binary file": (star_bytes(bytes(range(32)) * 40), ABINIT),
    "not text": (star_bytes(b"data_\nloop_\n_rlnImageName\n1@caf\xe9.mrcs\n"), ABINIT),
    "a STAR file of micrographs": (text("_rlnImageName", "_rlnMicrographPath"), ABINIT),
    "a row cut short": (text(" 0007\n", "\n", 1), ABINIT),
    "a column missing": (text("_rlnDefocusU ", "_rlnDefocusX "), ABINIT),
    "a word for a number": (text(" 10010.00 ", " none "), ABINIT),
    "no pixel size": (text("_rlnImagePixelSize ", "_rlnSomethingElse "), ABINIT),
    "mixed box sizes": (text(" 16 2\n\n", " 18 2\n\n"), ABINIT),
    "mixed pixel sizes": (text("2.000000 16 2\n\n", "2.500000 16 2\n\n"), ABINIT),
    "an odd box": (text(" 16 2\n", " 15 2\n"), ABINIT),
    "phase-flipped images": (text("_rlnBeamTiltClass ", "_rlnCtfDataArePhaseFlipped "), ABINIT),
    "subtomograms": (text(" 16 2\n", " 16 3\n"), ABINIT),
    "too few particles": (
        lambda folder: (folder / "particles.star").write_text(
            "\n".join((folder / "particles.star").read_text().splitlines()[:50])
        ),
        ABINIT,
    ),
    "a folder for a table": (nothing, "inspect Extract"),
    "a stack for a table": (nothing, "inspect Extract/a.mrcs"),
    "a group for a .cs file": (lambda folder: (folder / "a.csg").write_text("metafile: '>J7.cs'\n"), "inspect a.csg"),
    "RELION 3.0": (version_30, INSPECT),
    "six optics groups": (six_groups, INSPECT),
    "zero defocus": (text("10000.00 9900.00", "0.00 0.00"), INSPECT),
    "huge astigmatism": (text("10000.00 9900.00", "40000.00 9900.00"), INSPECT),
    "duplicate rows": (text("000002@", "000001@"), INSPECT),
    "a .cs file and its passthrough": (cs_set, "inspect J7/J7_particles.cs"),
    "a .cs file without its passthrough": (cs_alone, "abinit J7/J7_particles.cs -o job"),
    "a .cs file that is none": (lambda folder: (folder / "a.cs").write_bytes(b"x" * 200), "convert a.cs out.star"),
    "lines that end as on Windows": (
        lambda folder: (folder / "particles.star").write_bytes(
            (folder / "particles.star").read_bytes().replace(b"\n", b"\r\n")
        ),
        INSPECT,
    ),
    "defocus in micrometres": (
        lambda folder: (folder / "particles.star").write_text(
            re.sub(r" (\d{5})\.\d\d (\d{4,5})\.\d\d ", r" 1.\1 1.\2 ", (folder / "particles.star").read_text())
        ),
        ABINIT,
    ),
    "an optics group that is not there": (text("talos 2 ", "talos 3 "), ABINIT),
    "one half-set": (text(" 2 0007\n", " 1 0007\n"), ABINIT),
    "particles without poses": (text("_rlnAngleRot ", "_rlnAngleRotPrior "), "reconstruct particles.star -o job"),
    "a class that is not there": (
        text("_rlnBeamTiltClass ", "_rlnClassNumber "),
        "reconstruct particles.star -o job --class 3",
    ),
    # the images
    "absolute paths that are gone": (text("@Extract/", "@/gone/Extract/"), ABINIT),
    "a stack cut short": (cut, ABINIT),
    "another pixel size in the header": (stack(lambda pixel: pixel, 1.0001 * 3), INSPECT),
    "images that are not square": (stack(lambda pixel: pixel[:, :, :12].copy()), ABINIT),
    "all images constant": (both_stacks(lambda pixel: 0 * pixel + 1), ABINIT),
    "one image of NaN": (pixels(np.nan), INSPECT),
    "dark protein": (both_stacks(lambda pixel: pixel - 2 * pixel.mean(0)), INSPECT),
    "not normalised": (both_stacks(lambda pixel: 100 + 20 * pixel), INSPECT),
    "a stack of 16-bit numbers": (both_stacks(lambda pixel: (100 * pixel).astype(np.int16)), INSPECT),
    "a big-endian stack": (big_endian, INSPECT),
    "a number beyond the stack": (text("000030@", "000031@"), ABINIT),
    "a compressed stack": (compressed, ABINIT),
    "a stack of complex numbers": (stack(lambda pixel: pixel.astype(np.complex64)), ABINIT),
    # the command
    "a misspelt verb": (nothing, "abint particles.star -o job"),
    "a misspelt option": (nothing, "abinit particles.star -o job --clases 2"),
    "an option missing": (nothing, "abinit particles.star"),
    "a misspelt setting": (config("[serach]\niterations = 3\n"), f"{ABINIT} --config settings.toml"),
    "a setting out of range": (config("classes = 0\n"), f"{ABINIT} --config settings.toml"),
    "settings that are no TOML": (config("classes = \n"), f"{ABINIT} --config settings.toml"),
    "no such device": (nothing, "abinit particles.star -o job --device quantum"),
    "no such symmetry": (nothing, f"{ABINIT} --symmetry X7"),
    "a diameter larger than the box": (nothing, f"{ABINIT} --diameter 500"),
    "too little memory": (nothing, f"{ABINIT} --memory 10MB"),
    "no memory at all": (nothing, f"{ABINIT} --memory 0"),
    "a scratch folder that is not there": (nothing, f"{ABINIT} --scratch nowhere"),
    "memory of no size": (nothing, f"{ABINIT} --memory plenty"),
    "memory of no size in the settings": (config('memory = "2 GX"\n'), f"{ABINIT} --config settings.toml"),
    "text without quotes in the settings": (config("classes = 2\nsymmetry = D2\n"), f"{ABINIT} --config settings.toml"),
    "a query on no column": (nothing, f"{ABINIT} --subset rlnDefocusX<3"),
    "a query that is code": (nothing, f"{ABINIT} --subset rlnDefocusU.sum()>3"),
    "a misspelt preset": (nothing, f"{ABINIT} --preset cryosparc"),
    "a preset of a verb without any": (nothing, "reconstruct particles.star -o job --preset cryosparc2017"),
    "settings that name code": (
        config('method = "mine:Own"\n'),
        "optimise particles.star -o job --config settings.toml",
    ),
    "a query that holds of none": (nothing, f"{ABINIT} --subset rlnDefocusU<3"),
    "a limit of none": (nothing, f"{ABINIT} --limit 0"),
    "maps of different boxes": (maps, "compare a.mrc b.mrc"),
    "a map without voxel size": (bare_map, "compare a.mrc a.mrc"),
    "a start map of another field of view": (maps, "refine particles.star --map b.mrc -o job --device cpu"),
    "nothing to resample": (maps, "resample a.mrc c.mrc"),
    "images on smaller pixels": (nothing, "resample particles.star small.star --pixel-size 1"),
    "particles without poses to flip": (version_30, "flip particles.star -o flipped"),
    "half-maps that are not there": (nothing, "postprocess Extract"),
    "nothing to process": (nothing, "postprocess"),
    # the disk
    "an output folder with other files": (nothing, "reconstruct particles.star -o ."),
    "an output file that exists": (maps, "compare a.mrc a.mrc -o b.mrc"),
    "an output folder of too long a name": (nothing, f"abinit particles.star -o {'x' * 300}"),
    "a device for a file": (nothing, "inspect /dev/zero"),
    "an output folder that is used": (used_folder, ABINIT),
    "an output folder that cannot be made": (nothing, "abinit particles.star -o particles.star/job"),
    "a full disk": (full_disk, ABINIT),
    "a folder that may not be written": (forbidden, ABINIT),
    "memory that runs out": (no_memory, ABINIT),
    "read-only input": (read_only, INSPECT),
    "a finished job to resume": (used_folder, "resume job"),
    "a job to resume that was started with code": (
        job_record(verb="optimise", config={"particles": "particles.star", "method": "mine:Own"}),
        "resume job",
    ),
    "a job to resume whose record is damaged": (job_record(verb="abinit", config={"classes": "many"}), "resume job"),
    "a job to resume whose settings were changed": (
        job_record(verb="abinit", config={"particles": "particles.star", "output": "job", "seed": 7}),
        "resume job",
    ),
    "no job to resume": (nothing, "resume Extract"),
    "a file that exists": (nothing, "convert particles.star particles.star"),
}


def printed(name: str, folder: Path) -> str:
    """What the case prints, on both streams, and its exit code; the folder is called DIR, and GPUs are not told of."""
    damage, command = CASES[name]
    write_star_set(folder, images())
    code, said = 0, io.StringIO()
    with contextlib.ExitStack() as stack, contextlib.chdir(folder):
        stack.enter_context(mock.patch.dict(os.environ, {"COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"}))
        patch = damage(folder)
        if isinstance(patch, mock._patch):
            stack.enter_context(patch)
        stack.enter_context(contextlib.redirect_stdout(said))
        stack.enter_context(contextlib.redirect_stderr(said))
        try:
            main(command.split())
        except SystemExit as end:
            code = int(end.code or 0)
    plain = re.sub(r"\(here: cpu[^)]*\)", "(here: cpu)", said.getvalue().replace(str(folder), "DIR"))
    lines = [line.rstrip() for line in plain.splitlines()]
    return "\n".join([f"## {name}", f"$ cryorbit {command}", *lines, f"exit code {code}", ""])


def golden() -> dict[str, str]:
    parts = re.split(r"(?m)^(?=## )", GOLDEN.read_text())
    return {part.splitlines()[0].removeprefix("## "): part.rstrip("\n") for part in parts if part.strip()}


@pytest.mark.parametrize("name", CASES)
def test_what_is_printed(name: str, tmp_path: Path) -> None:
    assert printed(name, tmp_path).rstrip("\n") == golden()[name]


def test_the_file_has_every_case_and_no_traceback() -> None:
    assert list(golden()) == list(CASES)
    assert "Traceback" not in GOLDEN.read_text()


def write_golden() -> None:
    """Write the file anew."""
    said = []
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            said.append(printed(name, Path(folder).resolve()))
    GOLDEN.write_text("\n".join(said))


if __name__ == "__main__":
    write_golden()
