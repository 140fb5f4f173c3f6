"""FourierNet: the published size, exact Hermitian symmetry, the zero start, and slices that can be fitted."""

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc
from cryorbit.studies.paul2024.mom_net.fourier_net import Form, FourierNet

FORMS: tuple[Form, ...] = ("elementwise", "polar")


def make_network(form: Form) -> FourierNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = FourierNet(8.0, form)
        for last in (network.modulant.last, network.envelope.last):
            torch.nn.init.uniform_(last.weight, -0.1, 0.1)
    return network


def test_the_network_has_the_published_number_of_weights() -> None:
    network = FourierNet(8.0)
    counts = [sum(each.numel() for each in part.parameters()) for part in (network.modulant, network.envelope)]
    assert counts == [198_914, 133_122]


@pytest.mark.parametrize("form", FORMS)
def test_values_at_opposite_frequencies_are_conjugate(form: Form) -> None:
    network = make_network(form)
    whole = torch.arange(-2.0, 3.0)
    points = torch.cartesian_prod(whole, whole, whole)
    values = network(points)
    assert torch.equal(network(-points), values.conj())
    assert values[(points == 0).all(1)].imag.abs().max() == 0
    assert values.imag.abs().max() > 1e-3
    assert torch.equal(network(points.view(5, 25, 3)), values.view(5, 25))


@pytest.mark.parametrize("form", FORMS)
def test_the_network_begins_as_nothing_and_learns(form: Form) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = FourierNet(8.0, form)
    points = torch.nn.functional.pad(half_disc(16, 4.0).frequencies, (0, 1))
    target = torch.exp(-points.square().sum(1) / 8) * torch.exp(0.3j * points[:, 0])
    assert network(points).abs().max() == 0
    optimiser = torch.optim.Adam(network.parameters(), 1e-4)
    for _ in range(60):
        loss = (network(points) - target).abs().square().sum() / target.abs().square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.2
