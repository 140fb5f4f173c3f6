"""Pictures of surfaces: the right threshold, the right outline, light from where it should come."""

import numpy as np
import pytest

from cryorbit.report.surface import contour_level, shaded_views


def ball(radius: float, box: int = 32, centre: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """A ball of density 1 with an edge two voxels wide; ``centre`` is (z, y, x) from the box's centre."""
    grid = np.stack(np.meshgrid(*3 * [np.arange(box) - box // 2], indexing="ij"))
    distance = np.sqrt(((grid - np.array(centre)[:, None, None, None]) ** 2).sum(0))
    return np.clip((radius + 1 - distance) / 2, 0, 1)


def test_level_separates_density_from_noise(rng: np.random.Generator) -> None:
    volume = ball(9.0) + 0.1 * rng.normal(size=(32, 32, 32))
    assert contour_level(volume) == pytest.approx(0.5, abs=0.1)


def test_outline_has_the_area_of_the_ball() -> None:
    for view in shaded_views(ball(9.0), "#3366aa"):
        share = view[..., 3].mean()
        assert share == pytest.approx(np.pi * 9.0**2 / 32**2, rel=0.03)


def test_views_look_along_z_y_and_x() -> None:
    centres = []
    for view in shaded_views(ball(5.0, centre=(2, 4, 8)), "#3366aa"):
        rows, columns = np.nonzero(view[..., 3] > 0.5)
        centres.append([(index.mean() + 0.5) * 32 / view.shape[0] - 16.5 for index in (rows, columns)])
    np.testing.assert_allclose(centres, [(4, 8), (2, 8), (2, 4)], atol=0.1)


def test_views_show_the_map_and_not_its_mirror_image() -> None:
    """Of two balls in line, the one that hides the other is nearer to +z, -y and +x."""
    for axis, nearer in ((0, 1), (1, -1), (2, 1)):
        offset = np.zeros(3)
        offset[axis] = 8 * nearer
        small_in_front = np.maximum(ball(3.0, centre=tuple(offset)), ball(6.0, centre=tuple(-offset)))
        view = shaded_views(small_in_front, "#888888")[axis][..., :3].mean(-1)
        middle = view.shape[0] // 2
        # from its middle outwards a ball darkens; beyond the rim of one that lies in front it is light again
        assert np.diff(view[middle, middle : middle + 20]).max() > 0.05


def test_light_comes_from_above_on_the_left() -> None:
    view = shaded_views(ball(9.0), "#888888")[0]
    side = view.shape[0]
    brightness = view[..., :3].mean(-1) * view[..., 3]
    upper_left = brightness[side // 2 :, : side // 2].sum()
    lower_right = brightness[: side // 2, side // 2 :].sum()
    assert upper_left > 1.2 * lower_right


def test_an_empty_map_gives_an_empty_picture() -> None:
    volume = np.zeros((16, 16, 16))
    for view in shaded_views(volume, "#888888"):
        assert np.isfinite(view).all()


def test_a_block_on_nothing_has_its_own_outline() -> None:
    volume = np.zeros((40, 40, 40), dtype=np.float32)
    volume[15:25, 15:25, 15:25] = 1.0
    for view in shaded_views(volume, "#888888"):
        assert view[..., 3].mean() == pytest.approx(10**2 / 40**2, rel=0.1)


def test_values_too_small_to_divide_by_are_no_trouble() -> None:
    volume = np.zeros((150, 150, 150), dtype=np.float32)
    volume[:4, :4, :4] = 1.0
    assert all(np.isfinite(view).all() for view in shaded_views(volume, "#888888"))
