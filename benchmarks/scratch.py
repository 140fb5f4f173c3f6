"""What it is worth to keep transforms of images between passes: bytes read from the stacks, CPU time, memory, maps.

    python benchmarks/scratch.py --box 64 --count 4000 --box 128 --count 1000
    python benchmarks/scratch.py --box 128 --count 50000 --folder /local/disk

``cryorbit refine``, passes alone, in four ways: every image read, transformed and used in single precision whenever a
pass asks for it, as it was before anything was kept; the same in half precision (no room); kept in memory; kept in a
scratch folder. A set of 50,000 images of 128 px takes 3.3 GB of disk (``--folder``), one of 5,000 of 256 px 1.3 GB.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cyclopts

# ruff: isort: split
from measure import CRYORBIT, run_measured
from simulated import ParticleSet, simulate_box
from tables import Row, save, show

COUNTED = """
import atexit, json, sys
from pathlib import Path
from cryorbit.fourier.half_disc import image_transform
from cryorbit.imaging.transform_cache import TransformCache
from cryorbit.io import image_stack
from cryorbit.recipes import kept_transforms

way, report, *words = sys.argv[1:]
read, begin, bytes_read = image_stack._read_sections, TransformCache.__enter__, {"before": 0, "passes": 0}
stage = ["before"]

def counting(handle, header, first, count, path):
    bytes_read[stage[0]] += count * header.section_bytes
    return read(handle, header, first, count, path)

def beginning(cache):
    stage[0] = "passes"
    return begin(cache)

image_stack._read_sections, TransformCache.__enter__ = counting, beginning
if way in ("single precision", "half precision"):
    kept_transforms.PART_OF_MEMORY = 0
if way == "single precision":
    TransformCache.transforms = lambda cache, index, disc, read: image_transform(read(index), disc)
atexit.register(lambda: Path(report).write_text(json.dumps(bytes_read)))
from cryorbit.cli.main import main
sys.argv = ["cryorbit", *words]
main()
"""
"""The command line, with the bytes counted that are read from stacks: by the checks, and by the passes after them."""
WAYS = ("single precision", "half precision", "in memory", "in a scratch folder")


def main(
    *,
    box: tuple[int, ...] = (128,),
    count: tuple[int, ...] = (50_000,),
    passes: int = 2,
    snr: float = 0.1,
    threads: int = 1,
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Simulate a set of each box and number of images, and refine it in each of the ways."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place, rows = Path(name), list[Row]()
        for side, number in zip(box, count, strict=True):
            particles = simulate_box(place / f"set_{side}", side, number, snr)
            rows += [refined(place, particles, way, passes, threads) for way in WAYS]
        # heavy libraries only now: the memory of this process would count towards that of what it starts
        agreements = [least_fsc(place / row["job"], place / first_of_its_set(rows, row)["job"]) for row in rows]
    rows = [{**row, "least FSC": agreement} for row, agreement in zip(rows, agreements, strict=True)]
    notes = [
        f"images of a ribosome, signal-to-noise ratio {snr}; {passes} passes and the last; {threads} threads",
        "read: bytes over those of the stacks; least FSC: of all shells of a half-map, with that of single precision",
    ]
    show("Transforms kept between passes", rows, notes)
    save(output, "scratch", {"passes": passes, "snr": snr, "threads": threads, "rows": rows})


def refined(place: Path, particles: ParticleSet, way: str, passes: int, threads: int) -> Row:
    """What a refinement reads and costs in one of the ways."""
    settings = place / "settings.toml"
    settings.write_text(f'method = "em"\n\n[passes]\niterations = {passes}\n')
    stacks = sum(stack.stat().st_size for stack in particles.star.parent.glob("*.mrcs"))
    name = f"{particles.star.parent.name} {way}".replace(" ", "_")
    report = place / f"{name}.json"
    words = ("refine", particles.star, "--map", particles.truth_map, "-o", place / name, "--config", settings)
    options = ("--threads", str(threads), "--device", "cpu", *(("--scratch", place) if way == WAYS[-1] else ()))
    cost = run_measured([*CRYORBIT[:2], COUNTED, way, report, *words, *options], place / f"{name}.log")
    read = json.loads(report.read_text())
    return {
        "job": name,
        "stacks MB": stacks / 1e6,
        "read by checks": read["before"] / stacks,
        "read by passes": read["passes"] / stacks,
        "CPU s": cost.cpu_s,
        "peak MiB": cost.peak_MiB,
    }


def first_of_its_set(rows: Sequence[Row], row: Row) -> Row:
    """The job in single precision of the same particles."""
    return next(each for each in rows if each["job"].split("_")[:2] == row["job"].split("_")[:2])


def least_fsc(job: Path, other: Path) -> float:
    """The lowest correlation of all shells of the first half-maps of two jobs."""
    from cryorbit.evaluation.fsc import fourier_shell_correlation
    from cryorbit.io.mrc import read_map

    one, another = (read_map(each / "map_half1_unfil.mrc")[0] for each in (job, other))
    return float(fourier_shell_correlation(one, another)[1:].min())


if __name__ == "__main__":
    cyclopts.run(main)
