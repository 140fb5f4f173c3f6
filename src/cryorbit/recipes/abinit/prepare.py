"""Before the first iteration: the particles, and which of them train and which only judge."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from jaxtyping import Int
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.particle_input import ParticleInput, read_input

HELD_OUT_AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Prepared(ParticleInput):
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


def prepare(config: AbinitConfig) -> Prepared:
    """Read and check the particles; raises ``InputError`` for whatever would spoil the reconstruction."""
    read = read_input(config)
    held_out, order = _held_out(config, len(read.particles))
    return Prepared(**{f.name: getattr(read, f.name) for f in fields(read)}, order=order, held_out=held_out)


def _held_out(config: AbinitConfig, count: int) -> tuple[Int[Tensor, " v"], Int[Tensor, " t"]]:
    shuffled = torch.randperm(count, generator=generator_for(config.seed, 999))
    number = min(HELD_OUT_AT_MOST, math.floor(config.held_out * count))
    return shuffled[:number].sort().values, shuffled[number:]
