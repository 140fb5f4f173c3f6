"""The ball of coefficients: isometry with the whole grid, adjoint, diagonal, and the density it stands for."""

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc, image_transform
from cryorbit.fourier.interpolation import gather_slices
from cryorbit.geometry.rotations import random_rotations
from cryorbit.simulate.phantoms import random_blob_phantom
from cryorbit.simulate.projection import prepare_map, project
from cryorbit.volumes.fourier_ball import PAD, fourier_ball


def _noise(count, generator):
    return torch.randn(count, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("radius", [3.0, 5.5, 7])
def test_the_vector_is_an_isometry_of_the_whole_grid(radius, generator):
    ball = fourier_ball(20, radius)
    x = _noise(ball.dimension, generator)
    size = ball.grid.size
    axis = torch.fft.fftfreq(size, 1 / size)
    inside = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 <= radius**2
    assert ball.dimension == inside.sum()
    # a Hermitian transform has a real inverse; were it not Hermitian, going back and forth would change it
    half = ball.half_transform(x)
    whole = torch.fft.fftn(torch.fft.irfftn(half, s=(size,) * 3))
    torch.testing.assert_close(whole[..., : size // 2 + 1], half)
    torch.testing.assert_close(whole.abs().square().sum(), x.square().sum())
    assert (whole[~inside].abs() < 1e-12).all()


def test_adjoint_and_diagonal(generator):
    ball = fourier_ball(16, 5)
    x, y = _noise(ball.dimension, generator), _noise(ball.dimension, generator)
    half = torch.randn(ball.half_shape, generator=generator, dtype=torch.complex128)
    left = (half.conj() * ball.half_transform(x)).real.sum()
    torch.testing.assert_close(left, (ball.adjoint(half) * x).sum(), rtol=1e-12, atol=0)
    weights = torch.rand(ball.half_shape, generator=generator, dtype=torch.float64)
    product = ball.adjoint(weights * ball.half_transform(y))
    # the map is diagonal, as each entry of the half transform belongs to one coefficient
    torch.testing.assert_close(ball.diagonal(weights) * y, product)


def test_slices_of_the_coefficients_are_projections_of_the_density(generator):
    box = 32
    volume = torch.nn.functional.pad(random_blob_phantom(16, generator), (8,) * 6)
    ball, disc = fourier_ball(box, 12), half_disc(box, 9)
    x = ball.coefficients(volume)
    rotations = random_rotations(30, generator).float()
    slices = gather_slices(ball.half_transform(x), rotations, disc.frequencies, PAD)
    projections = image_transform(project(prepare_map(volume), rotations), disc)
    assert (slices - projections).norm() < 0.03 * projections.norm()
    kept = ball.real_volume(x)
    assert (ball.coefficients(kept) - x).norm() < 1e-3 * x.norm()
    of_kept = image_transform(project(prepare_map(kept), rotations), disc)
    assert (of_kept - projections).norm() < 0.01 * projections.norm()
