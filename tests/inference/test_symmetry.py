"""The axes and the centre of a symmetric map in any frame: found, scored, and brought to where the group has them."""

from dataclasses import replace

import pytest
import torch

from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import angular_distance, random_rotations
from cryorbit.geometry.so3_grid import rotation_count
from cryorbit.inference.constraints import centre_offset
from cryorbit.inference.symmetry import (
    SymmetryAxes,
    average_over_group,
    displaced_centre,
    distinct_frames,
    find_axes,
    turned_to_axes,
    whitened_amplitudes,
    without_inverses,
)
from cryorbit.inference.turned_map import rotated, sample_map
from cryorbit.simulate.phantoms import Blobs, blob_volume, random_blobs

BOX = 24
LARGE = 32


def turned(blobs: Blobs, rotation: torch.Tensor) -> Blobs:
    return replace(blobs, centers=blobs.centers @ rotation.T)


def small_blobs(count: int, generator: torch.Generator) -> Blobs:
    """Blobs well apart: smooth maps are nearly symmetric about many axes."""
    blobs = random_blobs(BOX, generator, count)
    return replace(blobs, widths=torch.full_like(blobs.widths, 1.1))


def symmetric_blobs(symbol: str, generator: torch.Generator) -> Blobs:
    """Copies of random blobs under the group, in the group's own frame."""
    unit = small_blobs(6, generator)
    group = point_group(symbol)
    copies = [turned(unit, operator).centers for operator in group]
    return Blobs(torch.cat(copies), unit.widths.repeat(len(group)), unit.heights.repeat(len(group)))


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def test_a_turned_map_is_the_map_of_turned_blobs(generator: torch.Generator) -> None:
    blobs = random_blobs(BOX, generator)
    rotation = random_rotations(1, generator)[0]
    found = rotated(blob_volume(blobs, BOX), rotation.float())
    expected = blob_volume(turned(blobs, rotation), BOX)
    assert correlation(found, expected) > 0.99
    assert correlation(rotated(blob_volume(blobs, BOX), rotation.T.float()), expected) < 0.9


def test_values_between_voxels() -> None:
    volume = torch.arange(8.0**3).reshape(8, 8, 8)
    points = torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [0, -0.25, 0], [0, 0, 1.5]])
    centre = float(volume[4, 4, 4])
    expected = torch.tensor([centre, centre + 0.5, centre - 0.25 * 8, centre + 1.5 * 64])
    torch.testing.assert_close(sample_map(volume, points), expected)
    assert float(sample_map(volume, torch.tensor([40.0, 0, 0]))) == 0


def test_the_centre_of_an_odd_box_is_its_middle_voxel(generator: torch.Generator) -> None:
    volume = torch.randn(9, 9, 9, generator=generator)
    assert float(sample_map(volume, torch.zeros(3))) == pytest.approx(float(volume[4, 4, 4]), abs=1e-5)
    torch.testing.assert_close(rotated(volume, torch.eye(3)), volume, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("symbol", "count"), [("C2", 1), ("C5", 2), ("D2", 3), ("T", 7), ("O", 16)])
def test_of_an_operator_and_its_inverse_one_is_kept(symbol: str, count: int) -> None:
    """Those of order two are their own inverses: 1 of C2, 3 of D2, 3 of 11 of T, 9 of 23 of O."""
    group = point_group(symbol)
    kept = without_inverses(group)
    assert len(kept) == count
    both = torch.cat([kept, kept.mT])
    distance = (group[:, None] - both).abs().amax((-2, -1)).amin(1)
    assert float(distance[1:].max()) < 1e-9
    assert float(distance[0]) > 0.1


@pytest.mark.parametrize(("symbol", "spacing"), [("C2", 15.0), ("C7", 15.0), ("D4", 7.5)])
def test_frames_are_those_of_one_unit_finer_for_groups_of_eight_or_more(symbol: str, spacing: float) -> None:
    group = point_group(symbol)
    assert len(distinct_frames(group)) == pytest.approx(rotation_count(spacing) / len(group), rel=0.2)


def test_amplitudes_have_one_scale_in_all_shells_wherever_the_map_is(generator: torch.Generator) -> None:
    volume = torch.zeros(12, 12, 12)
    volume[2:8, 3:9, 1:7] = torch.rand(6, 6, 6, generator=generator)
    amplitudes = whitened_amplitudes(volume)
    assert amplitudes.shape == (24, 24, 24)
    axis = torch.arange(24.0) - 12
    shell = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt().round().long()
    for number in range(21):
        assert float(amplitudes[shell == number].square().mean()) == pytest.approx(1, rel=1e-4)
    moved = whitened_amplitudes(volume.roll((3, 2, 4), (0, 1, 2)))
    torch.testing.assert_close(moved, amplitudes, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("symbol", "height"), [("D3", 1.5), ("C4", None)])
def test_the_centre_is_where_displacements_meet(symbol: str, height: float | None, generator: torch.Generator) -> None:
    """Two whole voxels and a half to the sides; along the only axis of a C4 it is the centre of mass."""
    blobs = compact(symmetric_blobs(symbol, generator))
    offset = torch.tensor([3.0, -4.5, 1.5], dtype=torch.float64)
    volume = blob_volume(replace(blobs, centers=blobs.centers + offset), LARGE)
    centre = displaced_centre(volume, torch.eye(3), point_group(symbol).float())
    expected = height if height is not None else float(centre_offset(volume[None])[0, 2])
    torch.testing.assert_close(centre, torch.tensor([3.0, -4.5, expected]), rtol=0, atol=0.3)


def off_centre(symbol: str, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A symmetric map turned at random and a quarter of its box off centre, the turn and the displacement."""
    blobs = compact(symmetric_blobs(symbol, generator))
    turn = random_rotations(1, generator)[0]
    way = torch.randn(3, generator=generator, dtype=torch.float64)
    offset = 0.25 * LARGE * way / way.norm()
    moved = replace(blobs, centers=blobs.centers @ turn.T + offset)
    return blob_volume(moved, LARGE), turn, offset


def compact(blobs: Blobs) -> Blobs:
    """The same blobs within a fifth of the large box."""
    return replace(blobs, centers=blobs.centers * (0.2 * LARGE / float(blobs.centers.norm(dim=-1).max())))


def axis_error(found: SymmetryAxes, turn: torch.Tensor, group: torch.Tensor) -> float:
    """Largest angle between an operator about the axes found and the nearest one about the true axes, degrees."""
    frame = found.frame.double()
    ours, true = frame.T @ group @ frame, turn @ group @ turn.T
    return float(angular_distance(ours[:, None], true[None]).min(1).values.max())


@pytest.mark.parametrize(
    "symbol", ["C5", "D2", pytest.param("T", marks=pytest.mark.slow), "O", pytest.param("I", marks=pytest.mark.slow)]
)
def test_axes_and_centre_are_found_a_quarter_box_off(symbol: str, generator: torch.Generator) -> None:
    volume, turn, offset = off_centre(symbol, generator)
    group = point_group(symbol)
    found = find_axes(volume, group.float(), 0.25 * LARGE)
    assert axis_error(found, turn, group) < 1.0
    miss = found.centre.double() - offset
    if symbol == "C5":
        # along its only axis the data cannot tell the centre
        axis = found.frame[2].double()
        miss = miss - axis * (axis @ miss)
    assert float(miss.norm()) < 0.5
    assert found.score > 0.98
    assert found.structure_score > 0.9


@pytest.mark.parametrize("seed", [1, 3, 4])
def test_a_piece_of_a_neighbour_does_not_pull_the_centre_of_a_shell(seed: int) -> None:
    """A shell with little structure on it, off centre, a bright neighbour at its side: what a crowded field gives."""
    generator = torch.Generator().manual_seed(seed)
    blobs = compact(symmetric_blobs("O", generator))
    offset = torch.tensor([2.0, -1.5, 1.0], dtype=torch.float64)
    turn = random_rotations(1, generator)[0]
    axis = torch.arange(LARGE, dtype=torch.float64) - LARGE // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    distance = (torch.stack([x, y, z], -1) - offset).norm(dim=-1)
    shell = (-0.5 * ((distance - 0.18 * LARGE) / 1.5) ** 2).exp().float()
    structure = blob_volume(replace(blobs, centers=blobs.centers @ turn.T + offset), LARGE).float()
    one = torch.ones(1, dtype=torch.float64)
    beside = Blobs(torch.tensor([[-12.0, 2.0, 0.0]], dtype=torch.float64), 2.5 * one, one)
    neighbour = blob_volume(beside, LARGE).float()
    volume = 3 * shell + 0.5 * structure / structure.max() + 3 * neighbour / neighbour.max()
    group = point_group("O")
    found = find_axes(volume, group.float(), 0.28 * LARGE)
    assert float((found.centre.double() - offset).norm()) < 0.5
    assert axis_error(found, turn, group) < 2.0


def test_the_map_comes_to_the_middle_and_onto_its_axes(generator: torch.Generator) -> None:
    volume, _, _ = off_centre("D2", generator)
    group = point_group("D2").float()
    found = find_axes(volume, group, 0.25 * LARGE)
    centred, average = turned_to_axes(volume, found), average_over_group(volume, found, group)
    for operator in group[1:]:
        assert correlation(centred, rotated(centred, operator)) > 0.98
        assert correlation(average, rotated(average, operator)) > 0.98
    assert correlation(centred, average) > 0.98


def test_a_map_without_symmetry_scores_lower_and_is_averaged(generator: torch.Generator) -> None:
    group = point_group("C4").float()
    volume = blob_volume(small_blobs(12, generator), BOX)
    found = find_axes(volume, group, 0.45 * BOX)
    assert found.score < 0.8
    average = average_over_group(volume, found, group)
    for operator in group[1:]:
        assert correlation(average, rotated(average, operator)) > 0.95
