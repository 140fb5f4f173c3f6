"""Random generators that are determined by numbers alone, so that no generator's state has to be stored."""

from __future__ import annotations

import numpy as np
import torch


def generator_for(*numbers: int) -> torch.Generator:
    """A generator determined by the numbers (seed, stage, iteration), independent of those of other numbers."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
    return torch.Generator().manual_seed(seed)
