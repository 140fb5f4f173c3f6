"""Particle sets that several tests look at."""

import pytest
import torch

from phantom_sets import PhantomSet, phantom_set, sharp_phantom


@pytest.fixture(scope="session")
def clear_set(tmp_path_factory: pytest.TempPathFactory) -> PhantomSet:
    """One phantom, 200 particles whose poses leave no doubt."""
    generator = torch.Generator().manual_seed(7)
    return phantom_set(tmp_path_factory.mktemp("clear"), [sharp_phantom(generator)], 200, 1.0, generator)


@pytest.fixture(scope="session")
def two_class_set(tmp_path_factory: pytest.TempPathFactory) -> PhantomSet:
    """Two phantoms that share their larger part, 400 particles."""
    generator = torch.Generator().manual_seed(8)
    common, first, second = (sharp_phantom(generator, count) for count in (24, 4, 4))
    volumes = [common + 0.8 * first, common + 0.8 * second]
    return phantom_set(tmp_path_factory.mktemp("classes"), volumes, 400, 0.3, generator)
