"""Accuracy of the simulator's projections: closed form, sums along the axes, RELION."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cryorbit.fourier.half_disc import half_disc, image_transform
from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import euler_to_matrix, random_rotations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.simulate.phantoms import blob_projections, blob_volume, random_blob_phantom, random_blobs
from cryorbit.simulate.projection import prepare_map, project

GOLDEN = Path(__file__).parents[1] / "golden" / "relion.npz"


def relative_error(ours: Tensor, theirs: Tensor) -> Tensor:
    """Norm of the difference of each image over the norm of the image."""
    return (ours - theirs).flatten(1).norm(dim=1) / theirs.flatten(1).norm(dim=1)


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**31))
def test_closed_form_in_random_poses(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    blobs, rotations = random_blobs(48, generator), random_rotations(6, generator)
    ours = project(prepare_map(blob_volume(blobs, 48)), rotations)
    # voxels below 1e-4 of the maximum are cut from the map and not from the closed form
    assert relative_error(ours.double(), blob_projections(blobs, rotations, 48)).max() < 5e-4


def test_sums_along_the_axes(generator: torch.Generator) -> None:
    """In each of the 24 poses of the cube a projection is a sum over an axis of the turned array."""
    volume = random_blob_phantom(32, generator)
    # without the first planes the array is symmetric about the centre voxel, and turning it is exact
    volume[0], volume[:, 0], volume[:, :, 0] = 0, 0, 0
    rotations = point_group("O")
    axis = torch.arange(-15, 16)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")[::-1], -1).double()
    images = project(prepare_map(volume), rotations)
    for rotation, image in zip(rotations, images, strict=True):
        x, y, z = ((points @ rotation).round().long() + 16).unbind(-1)
        summed = volume[z, y, x].sum(0)
        torch.testing.assert_close(image[1:, 1:], summed, atol=2e-4 * float(summed.max()), rtol=0)


def test_agrees_with_relion() -> None:
    """RELION's error at padding 8 is the larger one: it overestimates the grid points it interpolates between."""
    with np.load(GOLDEN) as file:
        golden = {key: torch.from_numpy(np.asarray(file[key])) for key in file}
    disc = half_disc(32, 15.0)
    theirs = image_transform(golden["projections"], disc)
    theirs = theirs * shift_phases(golden["origins_A"] / golden["pixel_size"], disc)
    ours = project(prepare_map(golden["map"]), euler_to_matrix(golden["angles"]))
    assert relative_error(image_transform(ours, disc), theirs).max() < 3e-3


def test_linear_in_the_map(generator: torch.Generator) -> None:
    first, second = random_blob_phantom(24, generator), random_blob_phantom(24, generator)
    rotations = random_rotations(3, generator)
    together = project(prepare_map(2 * first - second), rotations)
    apart = 2 * project(prepare_map(first), rotations) - project(prepare_map(second), rotations)
    torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 5])
def test_any_number_of_poses(count: int, generator: torch.Generator) -> None:
    prepared = prepare_map(random_blob_phantom(16, generator))
    assert project(prepared, random_rotations(count, generator)).shape == (count, 16, 16)
