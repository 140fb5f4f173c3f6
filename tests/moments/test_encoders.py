"""Encoders and their training: equivariance, errors up to a shift, learning, and going on after an interruption."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.encoders import ENCODERS, Architecture, Target, diagonals, make_encoder
from cryorbit.moments.learner import Learner
from cryorbit.moments.losses import kam_loss, shift_error, weighted_loss
from cryorbit.moments.mixtures import draw_examples, draw_mixtures
from cryorbit.moments.mra import shift_moments
from cryorbit.moments.mra_networks import EncoderPair, best_turns, refine
from cryorbit.moments.pair import Moments
from cryorbit.moments.training import Schedule, advance, mean_errors

LENGTH = 12
BOTH_OF_BOTH = list(itertools.product(ENCODERS, ("signal", "density")))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@settings(deadline=None, max_examples=30)
@given(length=st.integers(2, 9), by=st.integers(0, 8), seed=st.integers(0, 99))
def test_the_error_is_the_least_over_all_shifts(length: int, by: int, seed: int) -> None:
    found, truth = draw(3, length, seed=seed), draw(3, length, seed=seed + 1)
    turned = torch.stack([found.roll(turn, -1) for turn in range(length)])
    expected = ((turned - truth).norm(dim=-1) / truth.norm(dim=-1)).amin(0)
    torch.testing.assert_close(shift_error(found, truth), expected)
    near = found.roll(by % length, -1)
    assert float(shift_error(found, near).max()) < 1e-7


@given(length=st.integers(5, 12), part=st.integers(0, 7), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_parts_of_a_sample_are_told_for_band_limited_signals(length: int, part: int, seed: int) -> None:
    weights = draw(3, (length - 1) // 2 + 1, seed=seed) + 1j * draw(3, (length - 1) // 2 + 1, seed=seed + 1)

    def sampled(turn: float) -> Tensor:
        angle = 2 * torch.pi * (torch.arange(length).double() - turn) / length
        return (weights @ torch.exp(1j * angle * torch.arange(weights.shape[1])[:, None])).real

    assert float(shift_error(sampled(2 + part / 8), sampled(0.0), 8).max()) < 1e-6
    whole = shift_error(sampled(2 + part / 8), sampled(0.0))
    torch.testing.assert_close(shift_error(sampled(2 + part / 8), sampled(0.0), 1), whole)
    assert bool((whole > 1e-3).all()) == (part != 0)


def test_losses_of_moments_against_their_definitions() -> None:
    one, two = (Moments(draw(2, 3, seed=seed), draw(2, 3, 3, seed=seed + 9)) for seed in (0, 1))
    first, second = (one.first - two.first).norm(dim=1), (one.second - two.second).flatten(1).norm(dim=1)
    torch.testing.assert_close(weighted_loss(one, two, 0.3), first + 0.3 * second)
    expected = first / two.first.norm(dim=1) + second / two.second.flatten(1).norm(dim=1)
    torch.testing.assert_close(kam_loss(one, two), expected)
    same = Moments(two.first.clone().requires_grad_(), two.second)
    kam_loss(same, two).sum().backward()
    assert same.first.grad is not None
    assert same.first.grad.abs().max() == 0


def test_mixtures_are_densities_with_the_centres_of_their_parts() -> None:
    curves = draw_mixtures(500, 1, 64, generator(0))
    torch.testing.assert_close(curves.sum(1), torch.ones(500).double())
    assert curves.min() >= 0
    angle = 2 * torch.pi * torch.arange(64) / 64
    length = (curves.to(torch.complex128) @ torch.exp(1j * angle.double())).abs()
    widths = (-2 * length.log()).sqrt() / (2 * torch.pi)
    assert 0.039 < float(widths.min()) < 0.045
    assert 0.115 < float(widths.max()) < 0.121


def test_diagonals_are_convolutions_with_the_density() -> None:
    signal, density = draw(1, 7, seed=0), draw(7, seed=1).softmax(0)
    second = shift_moments(signal, density, WindowedShifts.of(7, 7, signal)).second
    for distance, found in enumerate(diagonals(second[None])[0]):
        product = signal[0] * signal[0].roll(-distance)
        expected = torch.stack([sum(density[s] * product[(x - s) % 7] for s in range(7)) for x in range(7)])
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("architecture", "target"), BOTH_OF_BOTH)
def test_encoders_follow_the_scale_of_the_signal_and_give_densities(architecture: Architecture, target: Target) -> None:
    encoder = make_encoder(architecture, LENGTH, target, seed=0)
    moments = draw_examples(3, 2, LENGTH, generator(0)).moments
    plain, scaled = encoder(moments), encoder(Moments(5 * moments.first, 25 * moments.second))
    torch.testing.assert_close(scaled, 5 * plain if target == "signal" else plain)
    if target == "density":
        torch.testing.assert_close(plain.sum(1), torch.ones(3))
        assert plain.min() > 0


def test_the_equivariant_encoder_moves_with_the_density() -> None:
    signal, density = draw(4, 1, LENGTH, seed=0), draw(4, LENGTH, seed=1).softmax(1)
    shifts = WindowedShifts.of(LENGTH, LENGTH, signal)
    encoder = make_encoder("equivariant", LENGTH, "density", seed=1).double()
    plain = encoder(shift_moments(signal, density, shifts))
    torch.testing.assert_close(encoder(shift_moments(signal, density.roll(3, 1), shifts)), plain.roll(3, 1))
    torch.testing.assert_close(encoder(shift_moments(signal.roll(2, 2), density.roll(-2, 1), shifts)), plain)


@pytest.mark.parametrize(("architecture", "target"), BOTH_OF_BOTH)
def test_training_lowers_the_error_of_examples_it_has_not_seen(architecture: Architecture, target: Target) -> None:
    schedule = Schedule(components=1, steps=60, batch=32)
    learner = Learner.begin(make_encoder(architecture, LENGTH, target, seed=0))
    before = mean_errors(learner.network, target, schedule, 200, LENGTH)
    for _ in range(schedule.steps):
        advance(learner, target, LENGTH, schedule)
    after = mean_errors(learner.network, target, schedule, 200, LENGTH)
    assert (after < 0.8 * before).all()
    assert after[1] < after[0]
    if architecture == "equivariant":
        assert after[0] < 0.3


def test_interrupted_training_ends_with_the_same_weights() -> None:
    schedule = Schedule(components=2, steps=6, batch=4)

    def begin() -> Learner:
        return Learner.begin(make_encoder("equivariant", LENGTH, "signal", seed=0))

    def go(learner: Learner, steps: int) -> None:
        while learner.step < steps:
            advance(learner, "signal", LENGTH, schedule)

    straight, first, second = begin(), begin(), begin()
    go(straight, 6)
    go(first, 3)
    second.restore(first.record())
    go(second, 6)
    for one, two in zip(straight.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(one, two)


def test_outputs_are_moved_together_before_they_are_refined() -> None:
    examples = draw_examples(5, 2, LENGTH, generator(3))
    turns = torch.tensor([0, 1, 5, 7, 11])
    apart = torch.stack([signal.roll(-int(turn)) for signal, turn in zip(examples.signals, turns, strict=True)])
    assert best_turns(apart, examples.densities, examples.moments).tolist() == turns.tolist()


def test_refinement_of_weights_matches_the_moments_of_a_data_set() -> None:
    examples = draw_examples(1, 1, LENGTH, generator(4))
    pair = EncoderPair(*(make_encoder("equivariant", LENGTH, target, seed=2) for target in ("signal", "density")))
    outcomes = list(refine(pair, examples.moments, 150, (3e-3, 1e-4)))
    assert len(outcomes) == 151
    assert float(outcomes[-1].losses) < 0.25 * float(outcomes[0].losses)
    shifts = WindowedShifts.of(LENGTH, LENGTH, examples.signals)
    last = outcomes[-1]
    again = kam_loss(shift_moments(last.signals[:, None], last.densities, shifts), examples.moments)
    torch.testing.assert_close(again, last.losses)
