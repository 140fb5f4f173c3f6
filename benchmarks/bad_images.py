"""What a few bad images do to a map: outliers, raw grey values and NaN against the same set without them.

    python benchmarks/bad_images.py --count 400

Images of the ribosome that comes with the package, and of the same without a quarter of its mass for ``classify``. Of
each faulty set every verb makes a map; rows say by how much its Fourier shell correlation with the truth falls from
that of the clean set's map, at worst over the shells in which the clean map and the truth correlate by 0.5 or more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import cyclopts
import mrcfile
import numpy as np

from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.io.mrc import read_map
from jobs import Record
from measure import CRYORBIT, run_measured
from simulated import RIBOSOME
from tables import save, show

Fault = Callable[[np.ndarray, np.random.Generator], None]
CLEAN = "none"
CUT_FROM = 0.62
"""Part of the box beyond which, along z, the second map is empty."""


def main(*, count: int = 400, snr: float = 0.1, threads: int = 1, seed: int = 1, output: Path | None = None) -> None:
    """Simulate, spoil, and run every verb on every set.

    Parameters
    ----------
    count
        Images of the set of one map; twice as many show two maps.
    snr
        Variance of signal over variance of noise.
    threads
        Of cryorbit.
    seed
        Of the images and of what is done to them.
    output
        Where the numbers are written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cut = _cut_map(folder / "cut.mrc")
        words = ("--snr", str(snr), "--seed", str(seed), "--threads", str(threads))
        one, two = folder / "one", folder / "two"
        _run(folder, "simulate", RIBOSOME, "-o", one, "-n", str(count), *words)
        _run(folder, "simulate", RIBOSOME, cut, "-o", two, "-n", str(2 * count), *words)
        clean = {data: (data / "particles.mrcs").read_bytes() for data in (one, two)}
        curves: dict[str, dict[str, np.ndarray]] = {}
        for name, fault in FAULTS.items():
            for data, stack in clean.items():
                (data / "particles.mrcs").write_bytes(stack)
                with mrcfile.mmap(data / "particles.mrcs", "r+") as file:
                    fault(file.data, np.random.default_rng(seed))
            curves[name] = _curves(folder / name.replace(" ", "_"), one, two, str(threads))
        rows = [{"fault": name, **_falls(curves[CLEAN], found)} for name, found in curves.items()]
        show(f"Largest fall of the correlation with the truth, {count} images", rows, [])
        save(output, "bad_images", {"count": count, "snr": snr, "rows": rows})


def _outliers(value: float) -> Fault:
    def spoil(images: np.ndarray, generator: np.random.Generator) -> None:
        for number in range(0, len(images), 100):
            row, column = generator.integers(images.shape[-1], size=2)
            images[number, row, column] = value * images[number].std()

    return spoil


def _raw(images: np.ndarray, generator: np.random.Generator) -> None:
    for number in generator.choice(len(images), 3, replace=False):
        images[number] = 100 + 20 * images[number]


def _nan(images: np.ndarray, generator: np.random.Generator) -> None:
    images[generator.integers(len(images))] = np.nan


FAULTS: dict[str, Fault] = {
    CLEAN: lambda *_: None,
    "20 sigma in 1 of 100": _outliers(20),
    "300 sigma in 1 of 100": _outliers(300),
    "1e7 sigma in 1 of 100": _outliers(1e7),
    "3 raw images": _raw,
    "1 image of NaN": _nan,
}


def _cut_map(path: Path) -> Path:
    """The ribosome without what lies beyond a plane."""
    with mrcfile.open(RIBOSOME) as file:
        volume, voxel = file.data.copy(), file.voxel_size
    volume[round(CUT_FROM * len(volume)) :] = 0
    with mrcfile.new(path) as file:
        file.set_data(volume)
        file.voxel_size = voxel
    return path


def _curves(folder: Path, one: Path, two: Path, threads: str) -> dict[str, np.ndarray]:
    """Correlation of each verb's map with the truth, by shell."""
    folder.mkdir()
    truth, second = one / "truth_1.mrc", two / "truth_2.mrc"
    common = ("--threads", threads)
    maps = ("--map", truth)
    _run(folder, "reconstruct", one / "truth.star", "-o", folder / "reconstruct", *common)
    _run(folder, "abinit", one / "particles.star", "-o", folder / "abinit", *common)
    _run(folder, "refine", one / "particles.star", *maps, "-o", folder / "refine", *common)
    _run(folder, "classify", two / "particles.star", *maps, second, "-o", folder / "classify", *common)
    superposed = folder / "superposed.mrc"
    _run(folder, "compare", folder / "abinit" / "class_1.mrc", truth, "-o", superposed)
    return {
        "reconstruct": _fsc(folder / "reconstruct" / "map.mrc", truth),
        "abinit": _fsc(superposed, truth),
        "refine": _fsc(folder / "refine" / "map.mrc", truth),
        "classify, class 1": _fsc(folder / "classify" / "class_1.mrc", two / "truth_1.mrc"),
        "classify, class 2": _fsc(folder / "classify" / "class_2.mrc", second),
    }


def _run(folder: Path, verb: str, *words: str | Path) -> None:
    run_measured([*CRYORBIT, verb, *words], folder / f"{verb}.log")


def _fsc(found: Path, truth: Path) -> np.ndarray:
    """Fourier shell correlation of two maps on one grid."""
    return fourier_shell_correlation(read_map(found)[0], read_map(truth)[0]).numpy()


def _falls(clean: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> Record:
    """The largest fall of each verb's curve where the clean one is above 0.5."""
    falls: Record = {}
    for verb, curve in clean.items():
        shells = np.arange(1, len(curve))
        last = next((shell for shell in shells if curve[shell] < 0.5), len(curve))
        falls[verb] = round(float((curve - found[verb])[1:last].max()), 4)
    return falls


if __name__ == "__main__":
    cyclopts.run(main)
