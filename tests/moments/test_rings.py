"""Moments on rings: of images against those of the model, their symmetries, shifts, noise, and gradients."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torch import Tensor

from cryorbit.fourier.half_disc import half_disc, image_from_transform
from cryorbit.moments.fit import fit_lbfgs
from cryorbit.moments.ring_fit import RingProblem, RingSolution
from cryorbit.moments.ring_model import RingModel
from cryorbit.moments.ring_moments import RingMoments, multiplicity, order_pairs, weighted_moments
from cryorbit.moments.ring_prior import coefficient_sizes
from cryorbit.moments.ring_sums import RingSums
from cryorbit.moments.rings import Rings
from cryorbit.volumes.ball_bessel import BallBessel, ball_basis

BOX, ORDERS = 32, 3
ETA = 1.2
RADII = torch.tensor([0.8, 1.6, 2.4, 3.2], dtype=torch.float64)
EVEN = torch.zeros(0, dtype=torch.float64)


def basis() -> BallBessel:
    return ball_basis(5.0, 0.25)


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def volume() -> Tensor:
    """Coefficients of a volume whose slices are about as strong as the noise."""
    return 2 * draw(basis().size, seed=0)


@lru_cache
def model(density_degree: int = 0) -> RingModel:
    return RingModel.of(basis(), RADII, BOX, density_degree, ORDERS)


def transfer(defocus: Tensor, radii: Tensor) -> Tensor:
    """Something like a CTF that does not spread images over the box."""
    return torch.sin(0.3 + defocus[:, None] * radii.square() / 12)


@dataclass(frozen=True)
class Images:
    """Noisy images, their CTFs on the rings, and the spectrum of their noise."""

    pixels: Tensor
    transfer: Tensor
    noise: Tensor


def simulate(count: int, seed: int) -> Images:
    """Images of the volume in random poses under shifts, CTFs and coloured noise."""
    generator = torch.Generator().manual_seed(seed)
    disc = half_disc(BOX, BOX / 2)
    points = torch.nn.functional.pad(disc.frequencies.double(), (0, 1))
    rotations = torch.from_numpy(Rotation.random(count, random_state=seed).as_matrix())
    turned = basis().rotate(volume(), rotations)
    slices = turned.to(torch.complex128) @ basis().evaluate(torch.eye(basis().size).double(), points)
    shifts = ETA * torch.randn(count, 2, generator=generator, dtype=torch.float64)
    phases = -2 * math.pi / BOX * shifts @ disc.frequencies.double().mT
    defocus = 0.5 + torch.rand(count, generator=generator, dtype=torch.float64)
    seen = slices * torch.polar(torch.ones_like(phases), phases) * transfer(defocus, disc.frequencies.norm(dim=1))
    spectrum = 0.5 + 2 / (1 + torch.arange(BOX // 2 + 1).double())
    white = torch.randn(2, count, len(disc), generator=generator, dtype=torch.float64)
    noise = torch.complex(white[0], white[1]) * (spectrum[disc.shells] / 2).sqrt()
    return Images(image_from_transform(seen + noise, disc), transfer(defocus, RADII), spectrum)


def deviations(found: RingMoments, expected: RingMoments, errors: RingMoments) -> Tensor:
    """Differences in standard deviations, each product once."""
    kept = multiplicity(order_pairs(ORDERS)) == 1
    parts = [(found.second - expected.second)[1:] / errors.second[1:]]
    parts += [((found.third - expected.third) / errors.third)[kept]]
    return torch.cat([(2**0.5 * torch.view_as_real(part)).flatten() for part in parts])


def test_moments_of_images_are_those_of_the_model() -> None:
    rings = Rings.of(BOX, RADII, ORDERS, 0.5 * BOX - 1)
    total = RingSums.none(ORDERS, len(RADII), RADII.device)
    for batch in range(4):
        images = simulate(1000, seed=batch)
        total = total + RingSums.of(rings.analyse(images.pixels), images.transfer)
    estimate = total.estimate(rings.noise(images.noise))
    expected = estimate.weights.of(model().moments(volume(), EVEN, torch.tensor(ETA).double()))
    found = deviations(estimate.products, expected, estimate.errors)
    assert float(found.abs().max()) < 4.5  # of some 700 normal deviates
    assert float(found.square().mean()) == pytest.approx(1, abs=0.25)
    # images on the half disc lack their mean, which the soft disc spreads to the innermost ring
    first = ((estimate.products.first - expected.first) / estimate.errors.first)[1:]
    assert float(first.abs().max()) < 4
    # the moments stand out, so that the agreement says something
    assert float(estimate.products.third.norm() / estimate.errors.third.norm()) > 3


def test_noise_beside_a_constant_leaves_the_moments_of_the_constant() -> None:
    count = 20_000
    noise = Rings.of(BOX, RADII, ORDERS, 12.0).noise(torch.linspace(2, 1, BOX // 2 + 1))
    factor = torch.linalg.cholesky(noise + 1e-9 * torch.eye(len(RADII)).double())
    shape = (count, ORDERS + 1, len(RADII))
    white = torch.complex(draw(*shape, seed=1), draw(*shape, seed=2)) / 2**0.5
    # an image's wave of order 0 is real
    white[:, 0] = draw(count, len(RADII), seed=3).to(white)
    constant = torch.zeros(shape[1:], dtype=torch.complex128)
    constant[0] = 3.0
    waves = constant + torch.einsum("nkl,bnl->bnk", factor.to(white), white)
    estimate = RingSums.of(waves, torch.ones(count, len(RADII)).double()).estimate(noise)
    expected = weighted_moments(constant[None], torch.ones(1).double())
    assert float(((estimate.products.third - expected.third).abs() / estimate.errors.third).max()) < 5
    assert float(((estimate.products.second - expected.second).abs() / estimate.errors.second).max()) < 5


@pytest.mark.parametrize("premultiplied", [False, True])
def test_sums_of_parts_are_the_sums_of_all(premultiplied: bool) -> None:
    waves = torch.complex(draw(30, 4, 5, seed=3), draw(30, 4, 5, seed=4))
    ctf = draw(30, 5, seed=5)
    given_waves = waves * ctf[:, None] if premultiplied else waves
    whole = RingSums.of(waves, ctf)
    parts = RingSums.none(3, 5, ctf.device)
    for part in (slice(0, 7), slice(7, 30)):
        parts = parts + RingSums.of(given_waves[part], ctf[part], premultiplied=premultiplied)
    for a, b in zip(parts.tensors(), whole.tensors(), strict=True):
        torch.testing.assert_close(a, b)


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=8)
def test_turned_and_mirrored_volumes_have_the_same_moments_from_even_views(seed: int) -> None:
    eta = torch.tensor(ETA).double()
    turn = torch.from_numpy(Rotation.random(1, random_state=seed).as_matrix())
    turned = basis().rotate(volume(), turn)[0]
    mirrored = torch.where(basis().odd(turned), -volume(), volume())
    expected = model().moments(volume(), EVEN, eta)
    # averages over views are exact to twice the degree of the volume; products of three go a little beyond
    for other, error in ((turned, 2e-3), (mirrored, 1e-12)):
        found = model().moments(other, EVEN, eta)
        torch.testing.assert_close(found.first, expected.first)
        torch.testing.assert_close(found.second, expected.second)
        assert float((found.third - expected.third).norm()) < error * float(expected.third.norm())


def test_mirror_images_have_the_conjugate_products() -> None:
    waves = torch.complex(draw(6, ORDERS + 1, 4, seed=13), draw(6, ORDERS + 1, 4, seed=14))
    # an image's wave of order 0 is real
    waves[:, 0] = waves[:, 0].real.to(waves)
    weights, mirrored = draw(6, seed=15).abs(), draw(6, seed=16).abs()
    found = weighted_moments(waves, weights, mirrored)
    expected = weighted_moments(torch.cat([waves, waves.conj()]), torch.cat([weights, mirrored]))
    torch.testing.assert_close(found.first, expected.first)
    torch.testing.assert_close(found.second, expected.second)
    torch.testing.assert_close(found.third, expected.third)


def test_products_are_what_they_say() -> None:
    waves, weights = torch.complex(draw(5, 4, 3, seed=17), draw(5, 4, 3, seed=18)), draw(5, seed=19).abs()
    found = weighted_moments(waves, weights)
    second = torch.einsum("q,qnk,qnl->nkl", weights.to(waves), waves, waves.conj())
    torch.testing.assert_close(found.second, second)
    for number, (a, b) in enumerate(order_pairs(3).tolist()):
        third = torch.einsum("q,qi,qj,qk->ijk", weights.to(waves), waves[:, a], waves[:, b], waves[:, a + b].conj())
        torch.testing.assert_close(found.third[number], third)


def test_power_on_rings_says_how_large_coefficients_are() -> None:
    """Volumes of white coefficients in these sizes have the power that the sizes were made for."""
    wide = ball_basis(9.0, 0.25)
    nodes = RingModel.of(wide, RADII, BOX, 0, wide.degree)
    sizes = coefficient_sizes(wide, RADII, torch.full_like(RADII, 2.0))
    weights = nodes.density.weights(EVEN)[nodes.pairs].sum(0)
    power = torch.zeros_like(RADII)
    for seed in range(40):
        squares = nodes.waves(sizes * draw(wide.size, seed=seed)).abs().square()
        power += torch.einsum("q,qk->k", weights, 2 * squares.sum(1) - squares[:, 0]) / 40
    torch.testing.assert_close(power, torch.full_like(RADII, 2.0), rtol=0.15, atol=0)


def test_no_shifts_change_nothing_and_shifts_in_two_steps_are_shifts_in_one() -> None:
    moments = model().centred(volume(), EVEN)
    blur = model().blur
    unmoved = blur.apply(moments, torch.tensor(0.0).double())
    torch.testing.assert_close(unmoved.third, moments.third)
    torch.testing.assert_close(unmoved.second, moments.second)
    twice = blur.apply(blur.apply(moments, torch.tensor(0.3).double()), torch.tensor(0.4).double())
    once = blur.apply(moments, torch.tensor(0.5).double())
    # orders beyond the volume's degree are lost in between, which is little for small shifts
    assert float((twice.third - once.third).norm() / once.third.norm()) < 1e-2


def test_gradients_are_those_of_finite_differences() -> None:
    waves = torch.complex(draw(50, ORDERS + 1, 4, seed=7), draw(50, ORDERS + 1, 4, seed=8))
    estimate = RingSums.of(1e2 * waves, 1 + 0.1 * draw(50, 4, seed=9)).estimate(torch.zeros(ORDERS + 1, 4, 4).double())
    problem = RingProblem.of(model(2), estimate, RADII, BOX)

    truth = problem.unknown(RingSolution(volume(), 0.3 * draw(model(2).density.size, seed=6), ETA))

    def cost(unknown: Tensor) -> Tensor:
        return 0.5 * problem.residuals(unknown).square().sum()

    unknown = truth.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cost(unknown), unknown)
    for seed in range(5):
        direction = draw(len(truth), seed=20 + seed)
        step = 1e-5
        difference = (cost(truth + step * direction) - cost(truth - step * direction)) / (2 * step)
        assert float(gradient @ direction) == pytest.approx(float(difference), rel=1e-6)


def test_exact_moments_are_inverted() -> None:
    """From near the truth the fit falls back to it, up to a turn: no other volume about it has these moments."""
    eta = torch.tensor(ETA).double()
    nothing = RingSums.of(torch.zeros(1, ORDERS + 1, 4, dtype=torch.complex128), torch.ones(1, 4).double())
    empty = nothing.estimate(torch.zeros(ORDERS + 1, 4, 4).double())
    exact = replace(empty, products=model().moments(volume(), EVEN, eta))
    problem = RingProblem.of(model(), exact, RADII, BOX)
    start = problem.unknown(RingSolution(volume() + 0.2 * draw(basis().size, seed=11), EVEN, 1.0))
    end = fit_lbfgs(problem.residuals, start, 400).parameters
    turns = torch.from_numpy(Rotation.from_rotvec(0.12 * draw(3000, 3, seed=12).numpy()).as_matrix())
    near = basis().rotate(volume(), turns)

    def distance(unknown: Tensor) -> float:
        return float((near - problem.read(unknown).volume).norm(dim=1).min() / volume().norm())

    assert problem.misfit(end) < 0.1 < 1 < problem.misfit(start)
    assert distance(end) < 0.5 * distance(start)
    assert problem.read(end).eta == pytest.approx(ETA, abs=0.05)
