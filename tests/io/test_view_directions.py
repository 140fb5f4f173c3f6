"""Cylinders around the map stand where particles were seen from, and are as long as there are many."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.geometry.rotations import euler_to_matrix, random_rotations
from cryorbit.io.view_directions import LONGEST, NSIDE, count_directions, write_view_directions


def read_bild(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Colours and cylinders of the file."""
    lines = path.read_text().splitlines()
    colours = [line.split()[1:] for line in lines[0::2] if line.startswith(".color ")]
    cylinders = [line.split()[1:] for line in lines[1::2] if line.startswith(".cylinder ")]
    assert 2 * len(colours) == 2 * len(cylinders) == len(lines)
    return np.array(colours, float), np.array(cylinders, float)


def test_two_views_give_two_cylinders(tmp_path: Path) -> None:
    """Rot and tilt are the azimuth and the polar angle of the view; the in-plane angle does not matter."""
    angles = torch.tensor([[30.0, 60.0, 10.0], [30.0, 60.0, 200.0], [30.0, 60.0, 0.0], [-70.0, 120.0, 5.0]])
    write_view_directions(tmp_path / "views.bild", euler_to_matrix(angles.double()), 64, 2.0, 100.0)
    colours, cylinders = read_bild(tmp_path / "views.bild")
    assert colours.round(3).tolist() == [[1, 0, 0], [0.333, 0, 0.667]]
    inner, outer = cylinders[:, :3] - 64, cylinders[:, 3:6] - 64
    lengths = np.linalg.norm(outer - inner, axis=1)
    np.testing.assert_allclose(np.linalg.norm(inner, axis=1), 55, atol=0.02)
    np.testing.assert_allclose(lengths, [LONGEST * 55, LONGEST * 55 / 3], atol=0.02)
    for found, (rot, tilt) in zip(inner / 55, np.deg2rad([[30, 60], [-70, 120]]), strict=True):
        view = [np.sin(tilt) * np.cos(rot), np.sin(tilt) * np.sin(rot), np.cos(tilt)]
        # half the diagonal of a cell
        assert np.degrees(np.linalg.norm(found - view)) < 4


def test_every_particle_is_counted_in_the_nearest_cell(generator: torch.Generator) -> None:
    rotations = random_rotations(3000, generator)
    counts, axes = count_directions(rotations)
    assert counts.sum() == 3000
    assert len(axes) == 12 * NSIDE**2 == 1728
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1)
    mean_view = (counts[:, None] * axes).sum(0) / 3000
    np.testing.assert_allclose(mean_view, rotations[:, 2].mean(0).numpy(), atol=2e-3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_poles_are_cells_too(sign: float) -> None:
    pole = torch.diag(torch.tensor([1.0, sign, sign])).expand(5, 3, 3)
    counts, axes = count_directions(pole)
    assert axes[counts.argmax()][2] * sign > 0.99


def test_no_particles_no_cylinders(tmp_path: Path) -> None:
    write_view_directions(tmp_path / "views.bild", torch.empty(0, 3, 3), 64, 2.0, 100.0)
    assert (tmp_path / "views.bild").read_text() == ""
