"""A point group as products of operators, those of a cubic grid first."""

import pytest
import torch

from cryorbit.geometry.grid_operators import grid_factors
from cryorbit.geometry.point_groups import point_group


@pytest.mark.parametrize(
    ("symbol", "counts"),
    [
        ("C1", (1, 1, 1)),
        ("C3", (1, 1, 3)),
        ("C4", (2, 2, 1)),
        ("C6", (2, 1, 3)),
        ("D3", (2, 1, 3)),
        ("D4", (4, 2, 1)),
        ("O", (4, 6, 1)),
        ("I", (4, 3, 5)),
    ],
)
def test_products_are_the_group(symbol: str, counts: tuple[int, int, int]) -> None:
    group = point_group(symbol)
    signs, axes, others = grid_factors(group)
    assert (len(signs), len(axes), len(others)) == counts
    for on_grid in (signs, axes):
        assert torch.equal(on_grid.abs().sum(-1), torch.ones(len(on_grid), 3, dtype=torch.float64))
        assert torch.equal(on_grid.abs().amax(-1), torch.ones(len(on_grid), 3, dtype=torch.float64))
    products = (signs[:, None, None] @ axes[:, None] @ others).flatten(0, 2)
    same = (products[:, None] - group).abs().amax((-1, -2)) < 1e-9
    # every product is one operator, and every operator one product
    assert bool((same.sum(0) == 1).all())
    assert bool((same.sum(1) == 1).all())
