"""Particle sets for benchmarks: images of the map that comes with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cryorbit
from measure import CRYORBIT, run_measured

RIBOSOME = Path(cryorbit.__file__).parent / "data" / "ribosome_70S.mrc"
RESAMPLE = """
import sys
from pathlib import Path
from cryorbit.io.mrc import read_map, write_map
from cryorbit.volumes.voxel import resample
volume, pixel_size = read_map(Path(sys.argv[1]))
box = int(sys.argv[3])
write_map(Path(sys.argv[2]), resample(volume, box), pixel_size * len(volume) / box)
"""
"""A program that brings a map to another box: this process shall not grow by it."""


@dataclass(frozen=True, slots=True)
class ParticleSet:
    """Particles on disk and the map they show."""

    star: Path
    truth_map: Path


def simulate_set(
    folder: Path,
    count: int,
    snr: float,
    seed: int = 1,
    volume: Path = RIBOSOME,
    options: tuple[str | Path, ...] = (),
) -> ParticleSet:
    """Images of a map, by default of a ribosome, 64 pixels of 5.6 A; a set that is there already is used again.

    ``options`` are further ones of ``cryorbit simulate``.
    """
    made = ParticleSet(folder / "particles.star", folder / "truth_1.mrc")
    if not made.truth_map.exists():
        words = ("simulate", volume, "-o", folder, "-n", str(count), "--snr", str(snr), "--seed", str(seed), *options)
        run_measured([*CRYORBIT, *words], folder.with_suffix(".log"))
    return made


def simulate_box(folder: Path, box: int, count: int, snr: float) -> ParticleSet:
    """Images of a ribosome in a box of so many pixels; a set that is there already is used again."""
    volume = folder.with_name(f"map_{box}.mrc")
    if not volume.exists():
        run_measured([*CRYORBIT[:2], RESAMPLE, RIBOSOME, volume, str(box)], volume.with_suffix(".log"))
    return simulate_set(folder, count, snr, volume=volume)
