"""A map packed for the page: small whatever the map, whole where the particle is, and true to its values."""

import base64
import gzip
import json

import numpy as np
import pytest
from fabricated_job import PIXEL_SIZE, blob_map

from cryorbit.report.surface import contour_level
from cryorbit.report.surface_view import LARGEST_SIDE, SurfaceView, pack_surface


def unpack(view: SurfaceView) -> np.ndarray:
    """The map values that the bytes stand for."""
    raw = np.frombuffer(gzip.decompress(base64.b64decode(view.payload)), np.uint8)
    return view.low + raw.reshape(3 * [view.side]) / 255 * (view.high - view.low)


def test_values_come_back_to_half_a_step() -> None:
    volume = blob_map(1).numpy()
    view = pack_surface(volume, PIXEL_SIZE, "map", "#3a6ea5", largest=32)
    assert view is not None
    start = 16 - view.side // 2
    cut = volume[start : start + view.side, start : start + view.side, start : start + view.side]
    np.testing.assert_allclose(unpack(view), cut.clip(view.low, view.high), atol=0.51 * (view.high - view.low) / 255)
    assert view.level == contour_level(volume)
    assert view.voxel_A == PIXEL_SIZE
    assert (view.mean, view.deviation) == (pytest.approx(volume.mean()), pytest.approx(volume.std()))


def test_all_above_the_contour_stays_in_view_however_it_is_turned() -> None:
    volume = np.zeros((64, 64, 64), dtype=np.float32)
    volume[30:35, 30:35, 10:54] = 1.0
    view = pack_surface(volume, 2.0, "rod", "#000000")
    assert view is not None
    reach = np.linalg.norm(np.argwhere(volume > view.level) - 32, axis=1).max()
    assert reach < view.side / 2 < 1.2 * reach + 2
    assert (unpack(view) > view.level).sum() == (volume > view.level).sum()


def test_a_large_noisy_map_takes_little_of_the_page(rng: np.random.Generator) -> None:
    grid = np.stack(np.meshgrid(*3 * [np.arange(128) - 64], indexing="ij"))
    volume = (np.exp(-((np.sqrt((grid**2).sum(0)) / 50) ** 8)) + 0.2 * rng.normal(size=3 * [128])).astype(np.float32)
    view = pack_surface(volume, 1.5, "noisy", "#000000")
    assert view is not None
    assert view.side == LARGEST_SIDE
    assert len(view.payload) < 700_000
    # binning keeps the density and thins the noise
    inside = unpack(view)[30:50, 30:50, 30:50]
    assert inside.mean() == pytest.approx(1.0, abs=0.02)
    assert view.voxel_A == pytest.approx(1.5 * 128 / LARGEST_SIDE, rel=0.1)


def test_a_large_map_is_binned_before_it_is_transformed() -> None:
    """A ball of 40 A, once at 1 A a voxel and once at 0.5: the page shows the same of it."""
    views = []
    for side, pixel_size in ((64, 1.0), (128, 0.5)):
        grid = np.stack(np.meshgrid(*3 * [(np.arange(side) - side // 2) * pixel_size], indexing="ij"))
        volume = 1 / (1 + np.exp(np.sqrt((grid**2).sum(0)) - 20)).astype(np.float32)
        views.append(pack_surface(volume, pixel_size, "ball", "#000000", largest=32))
    coarse, fine = views
    assert coarse is not None
    assert fine is not None
    assert fine.voxel_A == pytest.approx(coarse.voxel_A, rel=0.05)
    volumes = [float((unpack(view) > 0.5).sum() * view.voxel_A**3) for view in (coarse, fine)]
    assert volumes == pytest.approx([4 / 3 * np.pi * 20**3] * 2, rel=0.05)


def test_a_flat_map_has_no_surface() -> None:
    assert pack_surface(np.ones((16, 16, 16), dtype=np.float32), 1.0, "flat", "#000000") is None


def test_the_same_map_gives_the_same_bytes() -> None:
    views = [pack_surface(blob_map(2).numpy(), 4.0, "a", "#000000") for _ in range(2)]
    assert views[0] == views[1]


def test_the_header_is_plain_json() -> None:
    view = pack_surface(blob_map(2).numpy(), 4.0, 'a "map" <b>', "#000000")
    assert view is not None
    header = json.loads(view.header())
    assert header["name"] == 'a "map" <b>'
    assert "payload" not in header
