"""The axes of a symmetric map in any frame: found, scored, and turned to where the point group has them."""

from dataclasses import replace

import pytest
import torch

from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import random_rotations
from cryorbit.inference import symmetry
from cryorbit.inference.symmetry import align_to_axes, rotated, sample_map
from cryorbit.simulate.phantoms import Blobs, blob_volume, random_blobs

BOX = 24


@pytest.fixture(autouse=True)
def _fewer_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the points suffices for maps so small."""
    monkeypatch.setattr(symmetry, "POINTS", 750)


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


@pytest.mark.parametrize("symbol", ["C4", "D2"])
def test_axes_are_found_in_any_frame(symbol: str, generator: torch.Generator) -> None:
    blobs = symmetric_blobs(symbol, generator)
    turn = random_rotations(1, generator)[0]
    group = point_group(symbol).float()
    aligned, score = align_to_axes(blob_volume(turned(blobs, turn), BOX), group)
    assert score > 0.95
    for operator in group[1:]:
        assert correlation(aligned, rotated(aligned, operator)) > 0.98
    # in which of the frames that leave the group as it is, the data cannot tell
    volume = blob_volume(blobs, BOX)
    assert max(correlation(rotated(aligned, frame), volume) for frame in normaliser(symbol)) > 0.97


def normaliser(symbol: str) -> torch.Tensor:
    """Rotations that take the group into itself: for C4 turns about z and half a turn across it, for D2 those of O."""
    if symbol == "D2":
        return point_group("O").float()
    angle = torch.arange(0, 90, 5.0).deg2rad()
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    about_z = torch.stack([c, -s, zero, s, c, zero, zero, zero, one], -1).unflatten(-1, (3, 3))
    return torch.cat([about_z, about_z @ torch.diag(torch.tensor([1.0, -1.0, -1.0]))])


def test_a_map_without_symmetry_scores_lower_and_is_averaged(generator: torch.Generator) -> None:
    group = point_group("C4").float()
    aligned, score = align_to_axes(blob_volume(small_blobs(12, generator), BOX), group)
    assert score < 0.8
    for operator in group[1:]:
        assert correlation(aligned, rotated(aligned, operator)) > 0.95
