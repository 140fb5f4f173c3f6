"""Moments of models: exact quadratures, shifts against brute force, and gradients against finite differences."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cryorbit.geometry.rotations import random_rotations
from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.analytic import blur_by_shifts, second_moment_rule, slice_moments
from cryorbit.moments.empirical import MomentSums
from cryorbit.moments.mra import moved, shift_moments
from cryorbit.moments.pair import Moments, real_vectors, spectral_moments


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def polynomial_slices(rotations: Tensor, degree: int, points: Tensor) -> Tensor:
    """Slices of a volume that is a polynomial of this degree in direction, at points of a plane."""
    axes = torch.tensor([[0.3, -0.5, 0.8], [1.0, 0.2, -0.1]]).double()
    seen = torch.einsum("rij,ki->rkj", rotations, torch.nn.functional.pad(points, (0, 1)))
    return sum((seen @ axis) ** degree for axis in axes)


@pytest.mark.parametrize(("degree", "density_degree"), [(1, 0), (2, 2), (3, 4), (5, 2)])
def test_the_rule_of_second_moments_is_exact(degree: int, density_degree: int) -> None:
    angle = torch.linspace(0, 5, 4, dtype=torch.float64)
    points = torch.stack([angle.cos(), angle.sin()], -1)
    turn = random_rotations(1, torch.Generator().manual_seed(3)).double()[0]

    def moments(volume_degree: int, turned: Tensor | None = None) -> Moments:
        rule = second_moment_rule(volume_degree, density_degree)
        rotations = rule.rotations if turned is None else rule.rotations @ turned
        # a density of view directions, which are the third rows of the rotations
        density = 1 + (rotations[:, 2] @ torch.tensor([0.6, 0.0, 0.8]).double()) ** density_degree
        return slice_moments(polynomial_slices(rotations, degree, points), rule.weights * density)

    exact = moments(degree + 4)
    for found in (moments(degree), moments(degree, turn)):
        torch.testing.assert_close(found.first, exact.first)
        torch.testing.assert_close(found.second, exact.second)


def test_a_smaller_rule_is_not_exact() -> None:
    points = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double()

    def second(volume_degree: int) -> Tensor:
        rule = second_moment_rule(volume_degree, 0)
        return slice_moments(polynomial_slices(rule.rotations, 6, points), rule.weights).second

    torch.testing.assert_close(second(6), second(9))
    assert (second(2) - second(6)).abs().max() > 1e-3


@settings(deadline=None, max_examples=10)
@given(eta=st.floats(0.0, 2.0), seed=st.integers(0, 99))
def test_shifts_blur_as_a_quadrature_over_shifts_does(eta: float, seed: int) -> None:
    frequencies = draw(3, 2, seed=seed)
    slices = torch.complex(draw(4, 3, seed=seed + 1), draw(4, 3, seed=seed + 2))
    density = draw(4, seed=seed + 3).softmax(0)
    nodes = torch.linspace(-9, 9, 73, dtype=torch.float64)
    weights = torch.exp(-nodes.square() / 2) / torch.exp(-nodes.square() / 2).sum()
    grid = torch.cartesian_prod(nodes, nodes) * eta
    shifted = slices[:, None] * torch.exp(1j * (grid @ frequencies.mT))
    joint = (density[:, None, None] * weights[:, None] * weights).flatten()
    expected = slice_moments(real_vectors(shifted.flatten(0, 1)), joint)
    found = blur_by_shifts(
        slice_moments(real_vectors(slices), density), frequencies, torch.tensor(eta, dtype=torch.float64)
    )
    torch.testing.assert_close(found.first, expected.first)
    torch.testing.assert_close(found.second, expected.second)


def test_gradients_are_those_of_finite_differences() -> None:
    frequencies = draw(2, 2, seed=0)

    def value(slices: Tensor, logits: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        found = blur_by_shifts(slice_moments(slices, logits.softmax(0)), frequencies, eta)
        return found.first, found.second

    arguments = (draw(3, 4, seed=1), draw(3, seed=2), torch.tensor(0.7, dtype=torch.float64))
    assert torch.autograd.gradcheck(value, tuple(each.requires_grad_() for each in arguments))


@settings(deadline=None, max_examples=20)
@given(length=st.integers(2, 9), channels=st.integers(1, 2), by=st.integers(-4, 4), seed=st.integers(0, 99))
def test_a_common_shift_of_signal_and_density_changes_no_moment(length: int, channels: int, by: int, seed: int) -> None:
    signal, density = draw(channels, length, seed=seed), draw(length, seed=seed + 1).softmax(0)
    shifts = WindowedShifts.of(length, max(1, length - 1), signal)
    plain, other = shift_moments(signal, density, shifts), shift_moments(*moved(signal, density, by), shifts)
    torch.testing.assert_close(plain.first, other.first)
    torch.testing.assert_close(plain.second, other.second)


def test_moments_of_shifts_agree_with_monte_carlo_within_four_standard_errors() -> None:
    generator = torch.Generator().manual_seed(4)
    signal, density = draw(1, 6, seed=0), draw(6, seed=1).softmax(0)
    shifts = WindowedShifts.of(6, 4, signal)
    drawn = torch.multinomial(density, 50_000, replacement=True, generator=generator)
    data = shifts.project(signal)[drawn, 0] + 1.5 * draw(50_000, 4, seed=2)
    sums = MomentSums.of(data / 1.5**2, torch.full((1, 4), 1.5**-2, dtype=torch.float64))
    found, errors, exact = sums.moments(), sums.standard_errors(), shift_moments(signal, density, shifts)
    assert ((found.first - exact.first) / errors.first).abs().max() < 4
    assert ((found.second - exact.second) / errors.second).abs().max() < 4


def test_spectral_moments_are_those_of_transformed_signals() -> None:
    signal, density = draw(1, 8, seed=0), draw(8, seed=1).softmax(0)
    shifts = WindowedShifts.of(8, 8, signal)
    first, second = spectral_moments(shift_moments(signal, density, shifts))
    transformed = torch.fft.fft(shifts.project(signal)[:, 0], norm="ortho")
    torch.testing.assert_close(first, density.to(first) @ transformed)
    torch.testing.assert_close(second, torch.einsum("l,lj,lk->jk", density.to(first), transformed, transformed.conj()))
    # equation 2.3: the second moment is v(k1) rho(k1 - k2) v(k2)*, with the density's plain transform
    k = torch.arange(8)
    spectrum, v = torch.fft.fft(density), torch.fft.fft(signal[0], norm="ortho")
    torch.testing.assert_close(second, v[:, None] * spectrum[(k[:, None] - k) % 8] * v.conj())
    assert math.isclose(float(first[0].real), float(signal.sum()) / math.sqrt(8))
