"""The running noise spectrum: its recursion worked out by hand, and residuals against sums over all poses."""

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc
from cryorbit.imaging.observations import Observations
from cryorbit.inference.grid_oracle import mean_residual
from cryorbit.inference.marginal import SliceStatistics
from cryorbit.inference.running_noise import ResidualSums, RunningNoise, batch_residuals, no_residuals, white

PUBLISHED = RunningNoise(decay=0.9999, prior=50.0, inflated=2500.0, inflation=8.0)


def one_shell(weight: float, error: float) -> ResidualSums:
    return ResidualSums(torch.tensor([weight]), torch.tensor([weight * error]), 1)


def test_the_recursion_is_the_one_worked_out_by_hand() -> None:
    """Two mini-batches of 30 images with a mean squared CTF of 1/2 and 1/3, residuals of 3 and 2, noise of 1.5."""
    start, sums = torch.tensor([1.5]), no_residuals(torch.zeros(1))
    seen = [float(PUBLISHED.spectrum(sums, start))]
    for batch in (one_shell(15.0, 3.0), one_shell(10.0, 2.0)):
        sums = PUBLISHED.joined(sums, batch)
        seen.append(float(PUBLISHED.spectrum(sums, start)))
    by_hand = [
        (50 * 1.5 + 2500 * 12) / 2550,
        (45 + 50 * 1.5 + 2499.75 * 12) / (15 + 50 + 2499.75),
        (0.9999 * 45 + 20 + 50 * 1.5 + 2499.500025 * 12) / (0.9999 * 15 + 10 + 50 + 2499.500025),
    ]
    assert seen == pytest.approx(by_hand, rel=1e-6)


def test_residuals_win_in_the_end() -> None:
    sums = ResidualSums(torch.tensor([0.0, 1e7]), torch.tensor([0.0, 3e7]), 100_000)
    found = PUBLISHED.spectrum(sums, torch.ones(2))
    # a shell that no residual was measured in keeps what was believed before; the inflation is forgotten
    assert found.tolist() == pytest.approx([(50 + 8 * 2500 * 0.9999**1e5) / (50 + 2500 * 0.9999**1e5), 3.0], rel=1e-4)


def test_a_batch_is_weighted_by_its_ctf() -> None:
    """Two images; on a shell the CTF squared is 0.36 and 0.64, and the residual squared is 5 and 3 times the noise."""
    disc, noise = half_disc(16, 3.0), torch.tensor([9.0, 2.0, 0.5, 1.0, 7.0, 7.0, 7.0, 7.0, 7.0])
    variance = noise[disc.shells]
    power = torch.stack([torch.full_like(variance, 5.0), torch.full_like(variance, 3.0)]) * 2
    weight = torch.stack([torch.full_like(variance, 0.36), torch.full_like(variance, 0.64)]) * 2 / variance
    images = Observations(torch.zeros_like(power).to(torch.complex64), weight, power)
    found = batch_residuals(power.mean(0), images, disc, noise)
    assert found.weight.tolist() == pytest.approx([0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert found.residual.tolist() == pytest.approx([0.0, 4 * 2.0, 4 * 0.5, 4 * 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def test_the_residual_is_that_of_every_pose_by_its_posterior(generator: torch.Generator) -> None:
    """Against the sum over images b, shifts t and slices g of ``gamma |C Y - S X|^2``, term by term."""

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.complex128)

    images, slices, phases = draw(3, 5), draw(4, 5), draw(2, 5)
    phases = phases / phases.abs()
    ctf = torch.rand(3, 5, generator=generator, dtype=torch.float64)
    gamma = torch.rand(3, 2, 4, generator=generator, dtype=torch.float64)
    gamma = gamma / gamma.sum((1, 2), keepdim=True)
    shifted = images[:, None] * phases
    terms = (ctf[:, None, None] * slices - shifted[:, :, None]).abs().square()
    expected = 2 * (gamma[..., None] * terms).sum((1, 2)).mean(0)
    statistics = SliceStatistics(
        torch.einsum("btg,btp->gp", gamma.to(shifted), 2 * ctf[:, None] * shifted),
        torch.einsum("btg,bp->gp", gamma, 2 * ctf.square()),
    )
    observations = Observations(2 * ctf * images, 2 * ctf.square(), 2 * images.abs().square())
    torch.testing.assert_close(mean_residual(observations, slices, statistics), expected)


def test_white_noise_is_as_strong_as_the_spectrum() -> None:
    """A spectrum of which the outer half of the area holds three times the inner's has the mean of two."""
    edge = 100
    spectrum = torch.ones(edge)
    spectrum[71:] = 3.0
    assert white(spectrum).tolist() == pytest.approx([2.0] * edge, rel=0.02)
    assert white(torch.full((9,), 4.0)).tolist() == pytest.approx([4.0] * 9)
