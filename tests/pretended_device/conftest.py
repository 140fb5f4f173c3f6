"""Images and maps small enough for a pretended card."""

import pytest
import torch

from hot_loops import Problem
from phantom_sets import phantom_set, sharp_phantom


@pytest.fixture(scope="session")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """130 images of 32 pixels, of which 40 are used unless a test asks for more."""
    generator = torch.Generator().manual_seed(1)
    particles = phantom_set(tmp_path_factory.mktemp("images"), [sharp_phantom(generator)], 130, 0.5, generator)
    return Problem(particles.source, particles.volumes, 40, 10.0)
