"""Polar moments of volumes in the Bessel basis, against slices on pixels averaged over many in-plane angles."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.moments import polar
from cryorbit.moments.analytic import blur_by_shifts, slice_moments
from cryorbit.moments.bessel_model import BesselModel
from cryorbit.moments.pair import Moments, real_vectors
from cryorbit.moments.polar import PolarDesign
from cryorbit.moments.view_density import ViewDensity
from cryorbit.volumes.spherical_bessel import SphericalBessel

BASIS = SphericalBessel(6.5, (3, 2, 2, 1))
RADII = torch.arange(1.0, 7.0, dtype=torch.float64)
DENSITY = ViewDensity.of(2, 11)
BOX = 20


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pixel_moments(coefficients: Tensor, weights: Tensor, directions: Tensor) -> Moments:
    """Moments of half-disc vectors with eight in-plane angles for each direction, which is exact for degree 3."""
    x, y, z = directions.unbind(1)
    rot, tilt = torch.rad2deg(torch.atan2(y, x)), torch.rad2deg(torch.atan2(torch.hypot(x, y), z))
    psi = torch.arange(8, dtype=torch.float64) * 45 + 7
    angles = torch.stack(
        [each.flatten() for each in (rot[:, None] + 0 * psi, tilt[:, None] + 0 * psi, psi + 0 * rot[:, None])]
    )
    plane = torch.nn.functional.pad(half_disc(BOX, 6.4).frequencies.double(), (0, 1))
    turned = BASIS.rotate(coefficients, euler_to_matrix(angles.mT))
    slices = BASIS.evaluate(turned, plane)
    return slice_moments(real_vectors(slices), (weights[:, None] * torch.ones(8).double() / 8).flatten())


@pytest.fixture(autouse=True)
def keep_all_combinations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polar, "LEAST_SINGULAR", 1e-9)


def test_the_model_has_the_moments_of_its_slices_on_pixels() -> None:
    model = BesselModel.of(BASIS, DENSITY, RADII)
    coefficients, weights = draw(BASIS.size, seed=0), DENSITY.weights(draw(DENSITY.size, seed=1))
    expected = model.moments(coefficients, weights)
    design = PolarDesign.of(half_disc(BOX, 6.4), BASIS, RADII)
    found = design.average(pixel_moments(coefficients, weights, DENSITY.directions))
    torch.testing.assert_close(found.first, expected.first)
    torch.testing.assert_close(found.cosines, expected.cosines)
    torch.testing.assert_close(found.sines, expected.sines)


def test_opposite_directions_differ_by_the_sign_of_the_sines() -> None:
    coefficients, weights = draw(BASIS.size, seed=0), DENSITY.weights(draw(DENSITY.size, seed=1))
    design = PolarDesign.of(half_disc(BOX, 6.4), BASIS, RADII)
    one, other = (design.average(pixel_moments(coefficients, weights, sign * DENSITY.directions)) for sign in (1, -1))
    torch.testing.assert_close(one.first, other.first)
    torch.testing.assert_close(one.cosines, other.cosines)
    torch.testing.assert_close(one.sines, -other.sines)
    assert one.sines.norm() > 0.01 * one.cosines.norm()


@pytest.mark.parametrize("eta", [0.0, 0.3])
def test_shifts_blur_polar_moments_as_they_do_those_on_pixels(eta: float) -> None:
    model = BesselModel.of(BASIS, DENSITY, RADII)
    coefficients, weights = draw(BASIS.size, seed=2), DENSITY.weights(draw(DENSITY.size, seed=3))
    spread = torch.tensor(eta, dtype=torch.float64)
    scale = 2 * torch.pi / BOX
    blurred = model.moments(coefficients, weights).blurred(scale * RADII, spread)
    disc = half_disc(BOX, 6.4)
    pixels = pixel_moments(coefficients, weights, DENSITY.directions)
    # a basis of higher degree holds the orders that the blur mixes in
    design = PolarDesign.of(disc, SphericalBessel(6.5, (6, 6, 6, 6, 6, 6)), RADII)
    expected = design.average(blur_by_shifts(pixels, scale * disc.frequencies.double(), spread))
    tolerance = {"rtol": 1e-6, "atol": 1e-6} if eta == 0 else {"rtol": 1e-3, "atol": 1e-4}
    torch.testing.assert_close(blurred.first, expected.first, **tolerance)
    torch.testing.assert_close(blurred.cosines, expected.cosines[:4], **tolerance)
    torch.testing.assert_close(blurred.sines, expected.sines[:4], **tolerance)


@settings(deadline=None, max_examples=10)
@given(degree=st.integers(0, 4), seed=st.integers(0, 99))
def test_densities_are_positive_and_normalised(degree: int, seed: int) -> None:
    density = ViewDensity.of(degree, 15)
    weights = density.weights(0.5 * draw(density.size, seed=seed))
    assert density.size == (degree + 1) ** 2 - 1
    assert weights.min() > 0
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0).double())
    torch.testing.assert_close(density.values(torch.zeros(density.size).double()), torch.ones(len(weights)).double())
    z = density.directions[:, 2]
    torch.testing.assert_close(density.log_weights.exp() @ z**4, torch.tensor(0.2).double())
