"""Particle sets for benchmarks: images of the map that comes with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cryorbit
from measure import CRYORBIT, run_measured

RIBOSOME = Path(cryorbit.__file__).parent / "data" / "ribosome_70S.mrc"


@dataclass(frozen=True, slots=True)
class ParticleSet:
    """Particles on disk and the map they show."""

    star: Path
    truth_map: Path


def simulate_set(folder: Path, count: int, snr: float, seed: int = 1) -> ParticleSet:
    """Images of a ribosome, 64 pixels of 5.6 A; a set that is there already is used again."""
    made = ParticleSet(folder / "particles.star", folder / "truth_1.mrc")
    if not made.truth_map.exists():
        words = ("simulate", RIBOSOME, "-o", folder, "-n", str(count), "--snr", str(snr), "--seed", str(seed))
        run_measured([*CRYORBIT, *words], folder.with_suffix(".log"))
    return made
