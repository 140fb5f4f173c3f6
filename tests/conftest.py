"""Settings and fixtures of the whole suite."""

import os

import numpy as np
import pytest
import torch

from checked_shapes import check_package

check_package()

# before anything imports Triton: without a GPU its kernels run by its interpreter
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture
def generator() -> torch.Generator:
    """A seeded generator; a test that needs randomness takes it from here."""
    return torch.Generator().manual_seed(20)


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded numpy generator."""
    return np.random.default_rng(20)


def pytest_configure() -> None:
    """Processes that share the cores do not each take all of them."""
    # imported here: only what is imported after the line above is checked
    from cryorbit.api.devices import limit_threads

    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    limit_threads(max(1, torch.get_num_threads() // workers))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests that need a device which is not there."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
