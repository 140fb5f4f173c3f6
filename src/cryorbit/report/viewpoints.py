"""Where a map is looked at from: along z, y and x, or along the axes of its symmetry, which show different things."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage

from cryorbit.geometry.point_groups import point_group

_SAME = np.cos(np.radians(5.0))
"""Cosine of the angle below which two directions are one."""
_ORDINARY = ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.3, -0.6, 0.74), (0.6, -0.5, 0.62))
"""Directions to look from where a group has fewer than three kinds of axes, in order of preference."""


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """A direction from which a map is seen.

    Attributes
    ----------
    name
        Title of the picture.
    rotation
        Rows: to the right in the picture, upwards, and towards the viewer, as ``(x, y, z)``.
    """

    name: str
    rotation: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


ALONG_AXES = (
    Viewpoint("along z", ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))),
    Viewpoint("along y", ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))),
    Viewpoint("along x", ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))),
)
"""From +z, -y and +x: with x or y to the right and the later axis upwards they show the map, not its mirror image."""


def viewpoints(symmetry: str) -> tuple[Viewpoint, ...]:
    """Three directions that no operator of the group turns into each other; axes first, of the highest order first.

    A cyclic group has one axis, z: it is seen from +z, -y and +x, as a map without symmetry is.
    """
    group = point_group(symmetry)
    axes = _axes(group.numpy())
    if len(axes) < 2:
        return ALONG_AXES
    chosen: list[tuple[str, np.ndarray]] = []
    for name, direction in [*axes, *(("between axes", np.array(each)) for each in _ORDINARY)]:
        mates = group.numpy() @ direction
        if all(np.abs(mates @ other).max() < _SAME for _, other in chosen):
            chosen.append((name, direction))
    return tuple(Viewpoint(name, _facing(direction)) for name, direction in chosen[:3])


def seen_from(volume: Float[np.ndarray, "z y x"], viewpoint: Viewpoint) -> Float[np.ndarray, "d h w"]:
    """The map with its first axis away from the viewer, the second upwards in the picture, the third to the right."""
    if viewpoint in ALONG_AXES:
        axis = ALONG_AXES.index(viewpoint)
        return np.moveaxis(volume, axis, 0)[:: -1 if sum(viewpoint.rotation[2]) > 0 else 1]
    right, up, towards = np.array(viewpoint.rotation)[:, ::-1]  # as (z, y, x)
    turn = np.stack([-towards, up, right], axis=1)
    centre = np.array(volume.shape) // 2
    turned: Float[np.ndarray, "d h w"] = ndimage.affine_transform(volume, turn, centre - turn @ centre, order=1)
    return turned


def _axes(group: Float[np.ndarray, "g 3 3"]) -> list[tuple[str, Float[np.ndarray, " 3"]]]:
    """Name and direction of an axis of each kind, the highest order first; the nearest to +z of its mates."""
    skew = group - group.swapaxes(1, 2)
    orders: dict[tuple[float, ...], int] = {}
    for operator, twist in zip(group[1:], skew[1:], strict=True):
        direction = np.array([twist[2, 1], twist[0, 2], twist[1, 0]])
        if np.abs(direction).max() < 1e-6:
            # a half turn has no sense of rotation: 1 + R projects on its axis
            columns = np.eye(3) + operator
            direction = columns[:, np.linalg.norm(columns, axis=0).argmax()]
        direction = direction / np.linalg.norm(direction)
        if tuple(direction[::-1].round(6)) < (0.0, 0.0, 0.0):
            direction = -direction
        key = tuple(float(part) + 0.0 for part in direction.round(6))
        orders[key] = orders.get(key, 1) + 1
    kinds: list[tuple[int, Float[np.ndarray, " 3"]]] = []
    for axis, order in sorted(orders.items(), key=lambda item: (-item[1], -item[0][2], -item[0][0])):
        direction = np.array(axis)
        if all(each != order or np.abs(group @ direction @ other).max() < _SAME for each, other in kinds):
            kinds.append((order, direction))
    return [(f"{order}-fold axis", direction) for order, direction in kinds]


def _facing(
    direction: Float[np.ndarray, " 3"],
) -> tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]:
    """Right, up and towards the viewer who is in a direction; z is upwards, unless it points at the viewer."""
    towards = torch.from_numpy(direction / np.linalg.norm(direction))
    upwards = torch.eye(3, dtype=torch.float64)[1 if abs(float(towards[2])) > _SAME else 2]
    up = torch.nn.functional.normalize(upwards - (upwards @ towards) * towards, dim=0)
    right = torch.linalg.cross(up, towards)
    x, y, z = (tuple(float(part) for part in row) for row in (right, up, towards))
    return (x[0], x[1], x[2]), (y[0], y[1], y[2]), (z[0], z[1], z[2])
