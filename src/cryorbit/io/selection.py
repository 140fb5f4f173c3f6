"""Parts of a particle set: the rows that a query on the columns finds, and rows drawn at random."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from cryorbit.io.matching_rows import matching_rows
from cryorbit.io.particles import Particles


def rows_where(particles: Particles, query: str) -> Int[Tensor, " m"]:
    """Indices of the particles that match a query; it and its errors are as for `matching_rows`."""
    return torch.from_numpy(matching_rows(particles.table, particles.optics, query, particles.source))


def random_rows(particles: Particles, count: int, generator: torch.Generator) -> Int[Tensor, " m"]:
    """Indices of ``count`` particles drawn without replacement, in the order of the file; all if there are no more."""
    return torch.randperm(len(particles), generator=generator)[:count].sort().values
