"""Random phases: amplitudes stay, low shells stay, the rest agrees with nothing."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.evaluation.phase_randomisation import randomise_phases


@settings(deadline=None, max_examples=15)
@given(first=st.integers(1, 9), seed=st.integers(0, 1000))
def test_amplitudes_stay_and_phases_go(first: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    volume = torch.randn(16, 16, 16, generator=generator, dtype=torch.float64)
    randomised = randomise_phases(volume, first, generator)
    before, after = torch.fft.fftn(volume).abs(), torch.fft.fftn(randomised).abs()
    torch.testing.assert_close(after, before)
    torch.testing.assert_close(
        fourier_shell_correlation(volume, randomised)[:first], torch.ones(first, dtype=torch.float64)
    )


def test_randomised_maps_correlate_with_nothing(generator: torch.Generator) -> None:
    volume = torch.randn(48, 48, 48, generator=generator)
    a, b = (randomise_phases(volume, 10, generator) for _ in range(2))
    for other in (volume, b):
        correlation = fourier_shell_correlation(a, other)[12:]
        assert float(correlation.abs().max()) < 0.12
        assert float(correlation.mean().abs()) < 0.02
