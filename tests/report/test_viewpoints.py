"""Where symmetric maps are looked at from: their axes, one of a kind, without mirroring."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from cryorbit.geometry.point_groups import point_group
from cryorbit.report.viewpoints import ALONG_AXES, Viewpoint, seen_from, viewpoints

BOX = 45
GROUPS = ("C1", "C5", "D2", "D3", "D4", "D7", "T", "O", "I", "I1", "I3", "I4")


def points_of(symmetry: str) -> np.ndarray:
    """A map of blobs with the symmetry: one off the axes and its mates, (z, y, x) about the centre voxel."""
    grid = np.stack(np.meshgrid(*3 * [np.arange(BOX) - BOX // 2], indexing="ij"))
    mates = point_group(symmetry).numpy() @ np.array([4.0, 7.0, 18.0])
    return np.sum([np.exp(-((grid - mate[::-1, None, None, None]) ** 2).sum(0) / 4) for mate in mates], axis=0)


def turned(picture: np.ndarray, order: int) -> np.ndarray:
    """A picture turned about its centre by a part of a full turn."""
    return ndimage.rotate(picture, 360 / order, reshape=False, order=3)


@pytest.mark.parametrize("symmetry", GROUPS)
def test_three_views_that_the_group_does_not_turn_into_each_other(symmetry: str) -> None:
    found = viewpoints(symmetry)
    assert len(found) == 3
    directions = np.array([each.rotation[2] for each in found])
    mates = np.abs(np.einsum("gij,aj,bi->gab", point_group(symmetry).numpy(), directions, directions)).max(0)
    assert np.array(mates)[~np.eye(3, dtype=bool)].max() < np.cos(np.radians(5)) or symmetry in {"C1", "C5"}
    for each in found:
        rotation = np.array(each.rotation)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize(
    ("symmetry", "orders"), [("O", (4, 3, 2)), ("I", (5, 3, 2)), ("I3", (5, 3, 2)), ("T", (3, 2)), ("D7", (7, 2))]
)
def test_the_axes_of_the_group_are_shown_and_named(symmetry: str, orders: tuple[int, ...]) -> None:
    volume = points_of(symmetry)
    for order, viewpoint in zip(orders, viewpoints(symmetry), strict=False):
        assert viewpoint.name == f"{order}-fold axis"
        picture = seen_from(volume, viewpoint).sum(0)
        assert np.corrcoef(picture.ravel(), turned(picture, order).ravel())[0, 1] > 0.98
        other = next(each for each in (5, 3) if order % each)
        assert np.corrcoef(picture.ravel(), turned(picture, other).ravel())[0, 1] < 0.9


def test_without_symmetry_from_three_sides_and_exactly() -> None:
    assert viewpoints("C1") == viewpoints("C4") == ALONG_AXES
    volume = torch.rand(6, 6, 6).numpy()
    views = [seen_from(volume, each) for each in ALONG_AXES]
    np.testing.assert_array_equal(views[0], volume[::-1])
    np.testing.assert_array_equal(views[1], volume.transpose(1, 0, 2))
    np.testing.assert_array_equal(views[2], volume.transpose(2, 0, 1)[::-1])


def test_any_viewpoint_turns_as_the_three_do() -> None:
    volume = points_of("C1")
    for each in ALONG_AXES:
        same = seen_from(volume, Viewpoint("another name", each.rotation))
        np.testing.assert_allclose(same, seen_from(volume, each), atol=1e-9)


def test_what_is_nearer_comes_first() -> None:
    volume = np.zeros((9, 9, 9))
    volume[7, 4, 4] = 1.0  # at z = 3
    depth = np.argmax(
        seen_from(volume, Viewpoint("above", ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))).sum((1, 2))
    )
    assert depth == 1
