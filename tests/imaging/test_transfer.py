"""The transfer of an image: a linear map with an exact adjoint, and what it makes of observations."""

import pytest
import torch

from cryorbit.imaging.observations import observe
from cryorbit.imaging.transfer import Transfer


@pytest.fixture(params=[False, True])
def transfer(request: pytest.FixtureRequest, generator: torch.Generator) -> Transfer:
    ctf, phase = (torch.randn(3, 20, generator=generator) for _ in range(2))
    return Transfer(ctf, torch.polar(torch.ones_like(phase), phase) if request.param else None)


def transforms(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(3, 20, dtype=torch.complex64, generator=generator)


def test_the_adjoint_is_exact(transfer: Transfer, generator: torch.Generator) -> None:
    slices, images = transforms(generator), transforms(generator)
    there = (transfer.apply(slices).conj() * images).sum()
    torch.testing.assert_close(there, (slices.conj() * transfer.adjoint(images)).sum())
    torch.testing.assert_close(transfer.adjoint(transfer.apply(slices)), transfer.power * slices)


def test_observations_give_the_log_likelihood(transfer: Transfer, generator: torch.Generator) -> None:
    """Against the residual itself, as the complex factor has it."""
    slices, images, noise = transforms(generator), transforms(generator), 0.5 + torch.rand(20, generator=generator)
    seen = observe(images, transfer, noise)
    ours = (slices.conj() * seen.data).real.sum(1) - 0.5 * (seen.weight * slices.abs() ** 2).sum(1)
    residual = 2 * ((images - transfer.apply(slices)).abs() ** 2 / (2 * noise)).sum(1)
    torch.testing.assert_close(ours - 0.5 * seen.power.sum(1), -residual, rtol=1e-5, atol=1e-3)


def test_phases_of_premultiplied_images_are_turned_back(transfer: Transfer, generator: torch.Generator) -> None:
    images, noise = transforms(generator), 0.5 + torch.rand(20, generator=generator)
    plain = observe(images, transfer, noise)
    multiplied = observe(transfer.ctf * images, transfer, noise, premultiplied=True)
    torch.testing.assert_close(multiplied.data, plain.data)
    torch.testing.assert_close(multiplied.weight, plain.weight)
