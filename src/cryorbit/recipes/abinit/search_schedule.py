"""What changes from step to step of the search: resolution, size of the mini-batches, mixing of the classes."""

from __future__ import annotations

from functools import partial

from jaxtyping import Int
from torch import Tensor

from cryorbit.core.epochs import stretch_of_epochs
from cryorbit.core.seeds import generator_for
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.prepare import AbinitDataset

MIXED, UNMIXED = 0.3, 0.35
"""Parts of the search up to which classes are mixed, and from which on they are not, linear between: cryoSPARC's
iterations 300 and 350 of about a thousand."""


def first_radius(config: AbinitConfig, dataset: AbinitDataset) -> float:
    """Fourier radius of the first iteration: 35 A, or what suits a particle much smaller or larger than usual."""
    resolution = config.search.initial_resolution
    if resolution is None:
        resolution = min(max(35.0, dataset.diameter / 8), dataset.diameter / 3.5)
    return min(max(dataset.extent / resolution, 3.0), dataset.box / 2 - 2)


def last_search_radius(config: AbinitConfig, dataset: AbinitDataset) -> float:
    """Fourier radius at which the search hands over."""
    return min(first_radius(config, dataset) * config.search.annealing, dataset.box / 2 - 1)


def search_radius(config: AbinitConfig, dataset: AbinitDataset, n: int) -> float:
    """Fourier radius of step ``n``: constant for a fifth of the search, then linear, constant for the last fifth."""
    first, last = first_radius(config, dataset), last_search_radius(config, dataset)
    progress = (n / config.search.iterations - 0.2) / 0.6
    return first + (last - first) * min(max(progress, 0.0), 1.0)


def searched_volumes(config: AbinitConfig) -> int:
    """How many volumes the search has."""
    return config.classes if config.search.volumes == "classes" else 1


def mini_batch(config: AbinitConfig, dataset: AbinitDataset, start: int, n: int) -> Int[Tensor, " b"]:
    """Mini-batch ``n``: the next images of an endless sequence of shuffled epochs."""
    sizes = [_batch_size(config, dataset, number) for number in range(n + 1)]
    generator = partial(generator_for, config.seed + start, "order of the search")
    return dataset.order[stretch_of_epochs(len(dataset.order), sum(sizes[:-1]), sizes[-1], generator)]


def images_seen(config: AbinitConfig, dataset: AbinitDataset, n: int) -> float:
    """Images of the first ``n`` mini-batches, of sizes that grow as if they were all alike."""
    settings = config.search
    if settings.batch_last_from is not None:
        return sum(_batch_size(config, dataset, number) for number in range(n))
    return n * 0.5 * (settings.batch_first + settings.batch_last) * searched_volumes(config)


def mixing(config: AbinitConfig, n: int) -> float:
    """Part of the class posteriors that step ``n`` shares evenly among the classes."""
    left = (UNMIXED - n / config.search.iterations) / (UNMIXED - MIXED)
    return config.search.class_mixing * min(max(left, 0.0), 1.0)


def _batch_size(config: AbinitConfig, dataset: AbinitDataset, n: int) -> int:
    """Images in mini-batch ``n``: as many for each volume, all at most."""
    settings = config.search
    if settings.batch_last_from is None:
        growth = (settings.batch_last - settings.batch_first) / max(1, settings.iterations - 1)
        size = settings.batch_first + growth * n
    else:
        reached = dataset.extent / search_radius(config, dataset, n) <= settings.batch_last_from
        size = settings.batch_last if reached else settings.batch_first
    return min(len(dataset.order), round(size * searched_volumes(config)))
