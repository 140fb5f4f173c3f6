"""Shaded pictures of a map's surface, seen from three sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.colors import to_rgb
from scipy import ndimage

from cryorbit.report.viewpoints import ALONG_AXES, Viewpoint, seen_from

_SIDE = 160
_LIGHT = np.array([-0.76, 0.53, -0.38])
_BINS = 512


def contour_level(volume: Float[np.ndarray, "z y x"]) -> float:
    """Threshold that separates particle from solvent best: least variance within the two (Otsu 1979)."""
    counts, edges = np.histogram(volume, _BINS)
    centres = (edges[1:] + edges[:-1]) / 2
    share = np.cumsum(counts) / counts.sum()
    moment = np.cumsum(counts * centres) / counts.sum()
    between = (moment[-1] * share - moment) ** 2 / np.maximum(share * (1 - share), 1e-12)
    # a map with a gap between its two kinds of density has many best thresholds: take their middle
    return float(centres[between >= (1 - 1e-9) * between.max()].mean())


def shaded_views(
    volume: Float[np.ndarray, "z y x"], colour: str, viewpoints: Sequence[Viewpoint] = ALONG_AXES
) -> list[Float[np.ndarray, "h w 4"]]:
    """Pictures (RGBA in [0, 1], first row at the bottom) of the surface, seen from each viewpoint."""
    level = contour_level(volume)
    fine = _magnified(np.asarray(volume, dtype=np.float32))
    return [_shaded_view(seen_from(fine, each), level, np.array(to_rgb(colour))) for each in viewpoints]


def _magnified(volume: Float[np.ndarray, "z y x"]) -> Float[np.ndarray, "s s s"]:
    """The map on as many voxels as pictures have pixels, by cubic splines.

    Splines of three dimensions are products of those of one, a matrix an axis: no voxel is made of its 64 neighbours.
    """
    count = volume.shape[0]
    matrix = ndimage.zoom(np.eye(count), (_SIDE / count, 1), order=3, mode="nearest", grid_mode=True)
    for _ in range(3):
        # the axis that is done goes last, so that the next one is first
        volume = np.tensordot(volume, matrix.astype(volume.dtype), (0, 1))
    return volume


def _shaded_view(
    volume: Float[np.ndarray, "d h w"], level: float, colour: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "h w 4"]:
    """Cast a ray along the first axis through every pixel and shade where it meets the surface."""
    peak = volume.max(0)
    points = _first_crossing(volume, peak, level)
    normal = _normals(volume, points)
    lit = np.clip(np.tensordot(_LIGHT / np.linalg.norm(_LIGHT), normal, 1), 0, 1)
    facing = np.clip(-normal[0], 0, 1)
    depth = points[0]
    near, far = np.percentile(depth[peak > level], (0, 100)) if (peak > level).any() else (0.0, 1.0)
    dimmed = 1 - 0.4 * np.clip((depth - near) / max(far - near, 1.0), 0, 1)
    brightness = (0.5 + 0.75 * lit) * (0.5 + 0.5 * facing) * dimmed
    # distance to the outline in pixels, so that it is drawn without stairs
    outline = (peak - level) / np.maximum(np.hypot(*np.gradient(peak)), 1e-12)
    picture = np.empty((*peak.shape, 4))
    picture[..., :3] = np.clip(brightness[..., None] * colour + 0.25 * (lit**24)[..., None], 0, 1)
    picture[..., 3] = np.clip(0.5 + outline, 0, 1)
    return picture


def _first_crossing(
    volume: Float[np.ndarray, "d h w"], peak: Float[np.ndarray, "h w"], level: float
) -> Float[np.ndarray, "3 h w"]:
    """Where each ray first meets the surface, between voxels; a ray that misses it: where it is densest."""
    index = (volume > np.minimum(level, 0.999 * peak)).argmax(0)
    before = np.take_along_axis(volume, np.maximum(index - 1, 0)[None], 0)[0]
    behind = np.take_along_axis(volume, index[None], 0)[0]
    rise = np.maximum(behind - before, 1e-6 * np.ptp(volume) or 1.0)
    depth = index - 1 + np.clip((level - before) / rise, 0, 1)
    rows, columns = np.indices(index.shape)
    return np.stack([depth, rows, columns])


def _normals(volume: Float[np.ndarray, "d h w"], points: Float[np.ndarray, "3 h w"]) -> Float[np.ndarray, "3 h w"]:
    """Outward unit normals of the surface through ``points``, by differences over two voxels."""
    gradient = np.empty_like(points)
    for axis in range(3):
        step = np.zeros((3, 1, 1))
        step[axis] = 1.5
        ahead, back = (ndimage.map_coordinates(volume, points + sign * step, order=1) for sign in (1, -1))
        gradient[axis] = back - ahead
    normals: Float[np.ndarray, "3 h w"] = gradient / np.maximum(np.linalg.norm(gradient, axis=0), 1e-12)
    return normals
