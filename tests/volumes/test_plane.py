"""A plane is a volume that is empty but for its middle plane, seen along z."""

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc, image_transform
from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.simulate.phantoms import random_blob_phantom
from cryorbit.volumes.plane import PlaneGrid
from cryorbit.volumes.voxel import VoxelGrid

BOX, SIZE = 24, 16
PLANE, VOXELS, DISC = PlaneGrid(BOX, SIZE), VoxelGrid(BOX, SIZE), half_disc(BOX, 6.0)
TURNS = euler_to_matrix(torch.tensor([[0.0, 0, 0], [0, 0, 37], [110, 0, 0], [0, 0, 290]], dtype=torch.float64))
FIRST = torch.zeros(len(TURNS), dtype=torch.long)


precisions = pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
"""In single precision the compiled kernels run."""


@precisions
def test_slices_are_those_of_a_volume_of_one_plane(
    dtype: torch.dtype, error: float, generator: torch.Generator
) -> None:
    image = torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64)
    volume = torch.zeros(SIZE, SIZE, SIZE, dtype=torch.float64)
    # planes of a working box stand for thicker ones of the full box
    volume[SIZE // 2] = image * SIZE / BOX
    expected = VOXELS.model(volume[None]).slices(FIRST, TURNS, DISC.frequencies)
    found = PLANE.model(image[None].to(dtype)).slices(FIRST, TURNS.to(dtype), DISC.frequencies)
    torch.testing.assert_close(found, expected.to(found.dtype), rtol=0, atol=error * float(expected.abs().max()))


@precisions
def test_sums_are_the_middle_plane_of_those_of_a_volume(
    dtype: torch.dtype, error: float, generator: torch.Generator
) -> None:
    values = torch.randn(len(TURNS), len(DISC), dtype=torch.complex128, generator=generator)
    expected = VOXELS.insert(values, values.abs(), TURNS, DISC.frequencies)
    single = values.to(dtype.to_complex())
    found = PLANE.insert(single, single.abs(), TURNS.to(dtype), DISC.frequencies)
    for plane, volume in zip(found, expected, strict=True):
        torch.testing.assert_close(plane[0], volume[0].to(plane.dtype), rtol=0, atol=error * float(volume.abs().max()))
        assert not plane[1].any()
        assert not volume[1:].any()


def test_the_slice_of_an_image_that_is_not_turned_is_its_transform(generator: torch.Generator) -> None:
    image = random_blob_phantom(BOX, generator).sum(0)
    (found,) = PlaneGrid(BOX, BOX).model(image[None]).slices(FIRST[:1], TURNS[:1].float(), DISC.frequencies)
    expected = image_transform(image, DISC)
    assert (found - expected).norm() < 0.03 * expected.norm()


def test_a_tilted_plane_is_refused(generator: torch.Generator) -> None:
    tilted = euler_to_matrix(torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64))
    model = PLANE.model(torch.randn(1, SIZE, SIZE, generator=generator, dtype=torch.float64))
    values = torch.ones(1, len(DISC), dtype=torch.complex128)
    phases, candidates = torch.ones(1, len(DISC), dtype=torch.complex128), (FIRST[:1], FIRST[:1], tilted)
    with pytest.raises(ValueError, match="about its own axis"):
        model.slices(FIRST[:1], tilted, DISC.frequencies)
    with pytest.raises(ValueError, match="about its own axis"):
        model.scores(values, values.real, candidates, DISC.frequencies, phases)
    with pytest.raises(ValueError, match="about its own axis"):
        PLANE.insert(values, values.real, tilted, DISC.frequencies)
