"""Observations: the three arrays give the Gaussian log-likelihood, premultiplied images or not."""

import pytest
import torch

from cryorbit.imaging.observations import Observations, observe
from cryorbit.imaging.transfer import Transfer

Problem = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture
def problem(generator: torch.Generator) -> Problem:
    """Transforms of four images, their CTFs away from zero, and a noise spectrum."""
    transform = torch.randn(4, 30, dtype=torch.complex64, generator=generator)
    magnitude = 0.2 + 0.8 * torch.rand(4, 30, generator=generator)
    sign = torch.randint(2, (4, 30), generator=generator) * 2.0 - 1
    return transform, sign * magnitude, 0.5 + torch.rand(30, generator=generator)


def fields_of(observations: Observations) -> tuple[torch.Tensor, ...]:
    return observations.data, observations.weight, observations.power


def test_they_give_the_log_likelihood(problem: Problem, generator: torch.Generator) -> None:
    """Against the residual itself; a coefficient of the half plane stands for two of the same modulus."""
    transform, ctf, noise = problem
    slices = torch.randn(4, 30, dtype=torch.complex64, generator=generator)
    data, weight, power = fields_of(observe(transform, Transfer(ctf), noise))
    ours = (slices.conj() * data).real.sum(1) - 0.5 * (weight * slices.abs() ** 2).sum(1) - 0.5 * power.sum(1)
    residual = 2 * ((transform - ctf * slices).abs() ** 2 / (2 * noise)).sum(1)
    torch.testing.assert_close(ours, -residual, rtol=1e-5, atol=1e-4)


def test_premultiplied_images_give_the_same_arrays(problem: Problem) -> None:
    transform, ctf, noise = problem
    plain = observe(transform, Transfer(ctf), noise)
    premultiplied = observe(ctf * transform, Transfer(ctf), noise, premultiplied=True)
    for ours, theirs in zip(fields_of(premultiplied), fields_of(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_both_kinds_are_one_where_the_ctf_is_one(problem: Problem) -> None:
    transform, _, noise = problem
    ones = torch.ones(4, 30)
    both = [observe(transform, Transfer(ones), noise, premultiplied=kind) for kind in (False, True)]
    for a, b in zip(*map(fields_of, both), strict=True):
        assert torch.equal(a, b)


def test_zeros_of_the_ctf_are_harmless(problem: Problem) -> None:
    transform, _, noise = problem
    observations = observe(torch.zeros_like(transform), Transfer(torch.zeros(4, 30)), noise, premultiplied=True)
    assert not any(bool(field.any()) for field in fields_of(observations))


def test_parts_of_a_batch(problem: Problem) -> None:
    transform, ctf, noise = problem
    observations = observe(transform, Transfer(ctf), noise)
    part = observations[torch.tensor([2, 0])].within(7)
    assert len(observations) == 4
    assert len(part) == 2
    for ours, theirs in zip(fields_of(part), fields_of(observations), strict=True):
        assert torch.equal(ours, theirs[[2, 0], :7])
