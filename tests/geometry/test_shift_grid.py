"""Shift grids: the lattice points of a disc, the origin first."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.geometry.shift_grid import disc_grid


@settings(deadline=None, max_examples=50)
@given(extent=st.floats(0, 12), step=st.floats(0.3, 5))
def test_all_lattice_points_of_the_disc(extent: float, step: float) -> None:
    grid = disc_grid(extent, step)
    assert grid[0].tolist() == [0, 0]
    expected = {
        (i, j) for i in range(-45, 46) for j in range(-45, 46) if step * (i * i + j * j) ** 0.5 <= extent + 1e-9
    }
    assert {(i, j) for i, j in (grid / step).round().int().tolist()} == expected
    assert len(grid) == len(expected)
    assert (grid.norm(dim=1).diff() >= 0).all()


def test_count_of_a_common_grid() -> None:
    """Points on the edge count; the next ones are at the square root of ten."""
    assert len(disc_grid(3.0, 1.0)) == 29
    assert len(disc_grid(3.2, 1.0)) == 37
    assert disc_grid(3.0, 1.0).dtype == torch.float64
