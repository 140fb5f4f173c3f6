"""Whether a symmetry that was asked for is taken: held-out particles decide; where they cannot, the map's structure."""

import pytest
import torch

from cryorbit.recipes.abinit.symmetry_stage import symmetry_is_shown

TENTHS = torch.tensor([-1.0, 1.0]).repeat(50)
"""Differences of a hundred particles, mean 0 and standard error 0.1."""


@pytest.mark.parametrize(
    ("mean", "structure", "is_shown"),
    [
        pytest.param(0.3, 0.0, True, id="particles ask for it"),
        pytest.param(-0.3, 0.9, False, id="particles refuse it, a pseudo-symmetric map or not"),
        pytest.param(0.1, 0.25, True, id="particles undecided, the map has it"),
        pytest.param(-0.1, 0.25, True, id="particles undecided the other way, the map has it"),
        pytest.param(0.1, 0.02, False, id="particles undecided, a shell without structure"),
    ],
)
def test_particles_decide_before_structure(mean: float, structure: float, is_shown: bool) -> None:
    assert symmetry_is_shown(TENTHS + mean, structure) is is_shown
