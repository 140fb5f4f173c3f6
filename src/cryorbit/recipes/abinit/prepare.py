"""Before the first iteration: the particles, and which of them train and which only judge."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from jaxtyping import Int
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.execution.group import SINGLE_PROCESS, Group
from cryorbit.io.particles import Particles
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.dataset import Dataset, read_chosen, read_dataset
from cryorbit.recipes.volume_memory import VolumeLoad, require_volumes

HELD_OUT_AT_MOST = 500
LARGEST_RADIUS = 60
"""Maps are reconstructed to Nyquist in small boxes, and to this radius (or a quarter past the poses') in large ones."""
SMALLEST_PARTICLE = 0.2
"""Part of the box that a particle of unknown diameter has at least: finer poses are scored for a smaller one."""


@dataclass(frozen=True, slots=True)
class AbinitDataset(Dataset):
    """What all stages share: the particles, and their parts.

    Attributes
    ----------
    order
        Random order of the particles that train; the same for every seed, so that seeds differ by their start alone.
    held_out
        Particles that only judge.
    """

    order: Int[Tensor, " t"]
    held_out: Int[Tensor, " v"]


def prepare(config: AbinitConfig, group: Group = SINGLE_PROCESS) -> AbinitDataset:
    """Read and check the particles, a share in each process; ``InputError`` for what would spoil the reconstruction."""
    everything = read_chosen(config)
    _require_memory(config, everything)
    read = read_dataset(config, everything, group)
    held_out, order = _held_out(config, len(read.particles))
    return AbinitDataset(**{f.name: getattr(read, f.name) for f in fields(read)}, order=order, held_out=held_out)


def _require_memory(config: AbinitConfig, particles: Particles) -> None:
    """Refuse a job whose volumes would not fit, in the passes or in the last reconstruction."""
    passes, written = volume_loads(config, particles)
    require_volumes(config, passes, particles.pixel_size)
    require_volumes(config, written)


def volume_loads(config: AbinitConfig, particles: Particles) -> tuple[VolumeLoad, VolumeLoad]:
    """The volumes of the passes and of the last reconstruction, both at their largest."""
    extent, nyquist = particles.box * particles.pixel_size, particles.box / 2 - 1
    finest = config.max_resolution or min(12.0, (config.diameter or SMALLEST_PARTICLE * extent) / 10)
    scored = min(nyquist, extent / finest)
    written = min(nyquist, max(LARGEST_RADIUS, 1.25 * scored))
    symmetric = config.symmetry.upper() != "C1"
    # the last pass over all particles keeps the coarse poses of each of them
    cells = config.grow.cells * config.classes * len(particles)
    # of both half-sets at once, as whole numbers, which take twice the memory, and as what these become
    passes = VolumeLoad(particles.box, scored, config.classes, searched=True, symmetric=symmetric, sums=3, cells=cells)
    return passes, VolumeLoad(particles.box, written, config.classes, symmetric=symmetric)


def _held_out(config: AbinitConfig, count: int) -> tuple[Int[Tensor, " v"], Int[Tensor, " t"]]:
    shuffled = torch.randperm(count, generator=generator_for(config.seed, "held-out particles"))
    number = min(HELD_OUT_AT_MOST, math.floor(config.held_out * count))
    return shuffled[:number].sort().values, shuffled[number:]
