"""Group axioms, RELION's settings, and one pose kept of each orbit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.core.errors import InputError
from cryorbit.geometry.point_groups import asymmetric_unit, point_group
from cryorbit.geometry.rotations import euler_to_matrix, random_rotations
from cryorbit.geometry.so3_grid import hopf_grid

AXIAL = {"C1": 1, "C2": 2, "C7": 7, "C10": 10, "C13": 13, "D1": 2, "D2": 4, "D3": 6, "D11": 22}
ORDERS = AXIAL | {"T": 12, "O": 24, "I": 60, "I1": 60, "I2": 60, "I3": 60, "I4": 60}


@pytest.mark.parametrize("symbol", ORDERS)
def test_group_axioms(symbol: str) -> None:
    group = point_group(symbol)
    assert group.shape == (ORDERS[symbol], 3, 3)
    identity = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(group[0], identity)
    torch.testing.assert_close(group @ group.mT, identity.expand_as(group), atol=1e-12, rtol=0)
    torch.testing.assert_close(torch.linalg.det(group), torch.ones(len(group), dtype=torch.float64))
    distances = torch.linalg.matrix_norm(group[:, None] - group)
    assert (distances + 9 * torch.eye(len(group))).min() > 0.1
    products = (group[:, None] @ group).flatten(0, 1)
    assert torch.linalg.matrix_norm(products[:, None] - group).amin(1).max() < 1e-12
    assert torch.linalg.matrix_norm(group.mT[:, None] - group).amin(1).max() < 1e-12


@pytest.mark.parametrize("symbol", ["C0", "C", "C1.5", "D", "O2", "I5", "", "icosahedral", "C-2", "C03"])
def test_bad_symbol_names_the_legal_ones(symbol: str) -> None:
    with pytest.raises(InputError, match=r"Cn and Dn .* T, O, I .* I4"):
        point_group(symbol)


@pytest.mark.parametrize("symbol", ["C100", "D100", "c999", "D999999999999"])
def test_orders_beyond_those_of_particles(symbol: str) -> None:
    with pytest.raises(InputError, match=r"copies about an axis\n +fix: use one of Cn and Dn \(n = 1 to 99\)"):
        point_group(symbol)


def test_the_highest_order() -> None:
    assert [len(point_group(symbol)) for symbol in ("C99", "D99")] == [99, 198]


def test_symbols_ignore_case() -> None:
    torch.testing.assert_close(point_group(" c4"), point_group("C4"))


@pytest.mark.parametrize("symbol", ["C1", "C2", "C10", "D3", "T", "O", "I1", "I3"])
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**31))
def test_one_of_each_orbit(symbol: str, seed: int) -> None:
    group = point_group(symbol)
    rotations = random_rotations(100, torch.Generator().manual_seed(seed))
    orbits = rotations[:, None] @ group
    kept = asymmetric_unit(orbits.flatten(0, 1), group).unflatten(0, orbits.shape[:2])
    torch.testing.assert_close(kept.sum(1), torch.ones(100, dtype=torch.int64))


@pytest.mark.parametrize("symbol", ["C4", "D3", "T", "O", "I2", "I3"])
def test_one_of_each_orbit_for_views_along_an_axis(symbol: str) -> None:
    """The axis z is a symmetry axis of all these groups; the mates of such views differ in-plane only."""
    group = point_group(symbol)
    psi = torch.arange(0, 360, 7.3, dtype=torch.float64)
    along_axis = euler_to_matrix(torch.stack([torch.zeros_like(psi), torch.zeros_like(psi), psi], -1))
    orbits = along_axis[:, None] @ group
    kept = asymmetric_unit(orbits.flatten(0, 1), group).unflatten(0, orbits.shape[:2])
    assert (kept.sum(1) == 1).all()


@pytest.mark.parametrize("symbol", ["C3", "D2", "O", "I"])
def test_unit_keeps_the_share_of_a_grid_and_all_in_plane_angles(symbol: str) -> None:
    group = point_group(symbol)
    grid = hopf_grid(2)
    kept = asymmetric_unit(grid, group)
    in_plane = 24
    per_direction = kept.unflatten(0, (-1, in_plane)).sum(1)
    assert set(per_direction.tolist()) == {0, in_plane}
    share = float(kept.double().mean())
    assert abs(share * len(group) - 1) < 0.25


def test_unit_follows_the_dtype_and_shape_of_the_rotations(generator: torch.Generator) -> None:
    kept = asymmetric_unit(random_rotations(5, generator).float(), point_group("C1"))
    assert kept.dtype == torch.bool
    assert kept.all()
