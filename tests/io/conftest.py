"""Fixtures of the io tests."""

from pathlib import Path

import numpy as np
import pytest

from small_sets import COUNT, blob_images, write_cs_set, write_star_set


@pytest.fixture
def images(rng: np.random.Generator) -> np.ndarray:
    """The images of the small sets: white particles, normalised background."""
    return blob_images(COUNT, rng)


@pytest.fixture
def star_set(tmp_path: Path, images: np.ndarray) -> Path:
    """A STAR file of 40 particles, of box 16, in two stacks."""
    return write_star_set(tmp_path, images)


@pytest.fixture
def cs_set(tmp_path: Path, images: np.ndarray, rng: np.random.Generator) -> Path:
    """A .cs file of 40 particles, of box 16, and its passthrough file."""
    return write_cs_set(tmp_path, images, rng)
