"""The slice operator: exact adjoint, projections of a known volume, the weight volume as a majoriser."""

import torch

from cryorbit.fourier.half_disc import half_disc, image_from_transform, image_transform
from cryorbit.fourier.interpolation import gather_slices
from cryorbit.geometry.rotations import random_rotations
from cryorbit.imaging.slices import SliceOperator
from cryorbit.volumes.voxel import PAD, VoxelGrid, resample, working_grid


def _blob_volume(box, centre=(3.0, -2.0, 1.0), width=2.5):
    axis = torch.arange(box) - box // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    cx, cy, cz = centre
    return torch.exp(-((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) / (2 * width**2))


def test_backproject_is_the_adjoint_of_project(generator):
    operator = SliceOperator(VoxelGrid(24, 16), half_disc(24, 6), random_rotations(5, generator))
    volume = torch.randn(16, 16, 16, generator=generator, dtype=torch.float64)
    slices = torch.randn(5, len(operator.disc), dtype=torch.complex128, generator=generator)
    left = torch.vdot(slices.flatten(), operator.project(volume).flatten()).real
    right = (operator.backproject(slices) * volume).sum()
    torch.testing.assert_close(left, right, rtol=1e-10, atol=0)


def test_slices_are_transforms_of_projections(generator):
    """Against the analytic transform of a Gaussian; what is left is the aliasing of the trilinear kernel."""
    box, width, centre = 32, 2.0, torch.tensor([3.0, -2.0, 1.0])
    disc = half_disc(box, 10)
    rotations = random_rotations(50, generator).float()
    slices = SliceOperator(VoxelGrid(box, box), disc, rotations).project(_blob_volume(box, centre, width))
    k = torch.einsum("pi,gij->gpj", disc.frequencies, rotations[:, :2, :]) * (2 * torch.pi / box)
    envelope = (2 * torch.pi * width**2) ** 1.5 / box * torch.exp(-0.5 * width**2 * (k**2).sum(-1))
    expected = torch.polar(envelope, -(k @ centre))
    assert (slices - expected).norm() < 0.02 * expected.norm()


def test_the_second_row_of_a_view_is_its_y_axis():
    view = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    disc = half_disc(32, 10)
    volume = _blob_volume(32)
    (values,) = SliceOperator(VoxelGrid(32, 32), disc, view[None]).project(volume)
    # R.T @ (kx, ky, 0) is (0, ky, kx): the image's x axis is the volume's z axis
    projection = image_transform(volume.sum(2).mT, disc)
    assert (values - projection).norm() < 0.03 * projection.norm()


def test_slices_do_not_depend_on_the_working_box(generator):
    box, radius = 32, 6
    disc = half_disc(box, radius)
    rotations = random_rotations(4, generator).float()
    volume = resample(resample(_blob_volume(box), 16), box)
    grid = working_grid(box, radius)
    small = SliceOperator(grid, disc, rotations).project(resample(volume, grid.size))
    large = SliceOperator(VoxelGrid(box, box), disc, rotations).project(volume)
    torch.testing.assert_close(small, large, rtol=0, atol=5e-3 * float(large.abs().max()))


def test_weights_majorise_the_normal_operator(generator):
    operator = SliceOperator(VoxelGrid(16, 16), half_disc(16, 5), random_rotations(6, generator))
    weights = torch.rand(6, len(operator.disc), generator=generator, dtype=torch.float64)
    normal = operator.normal(weights)
    for _ in range(10):
        field = torch.randn(normal.shape, dtype=torch.complex128, generator=generator)
        slices = gather_slices(field, operator.rotations, operator.disc.frequencies, PAD)
        assert (weights * slices.abs() ** 2).sum() <= (normal * field.abs() ** 2).sum() * (1 + 1e-12)


def test_image_transform_round_trip(generator):
    disc = half_disc(16, 7)
    values = torch.randn(3, len(disc), dtype=torch.complex64, generator=generator)
    torch.testing.assert_close(image_transform(image_from_transform(values, disc), disc), values)


def test_white_noise_keeps_its_variance(generator):
    disc = half_disc(32, 15)
    values = image_transform(2.0 * torch.randn(200, 32, 32, generator=generator), disc)
    assert abs(float((values.abs() ** 2).mean()) - 4.0) < 0.05
