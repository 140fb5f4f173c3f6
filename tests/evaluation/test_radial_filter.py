"""Gains a shell, and the low-pass filter."""

import pytest
import torch

from cryorbit.evaluation.radial_filter import apply_gain, low_pass, with_spectrum_of
from cryorbit.fourier.shells import shell_indices


def wave(box: int, k: tuple[int, int, int]) -> torch.Tensor:
    """A plane wave of integer frequency."""
    axis = torch.arange(box).double() / box
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.cos(2 * torch.pi * (k[0] * z + k[1] * y + k[2] * x))


@pytest.mark.parametrize(
    ("k", "shell"), [((0, 0, 0), 0), ((3, 0, 0), 3), ((-2, 2, 1), 3), ((0, 4, 3), 5), ((6, 6, 6), 6)]
)
def test_a_wave_is_multiplied_by_the_gain_of_its_shell(k: tuple[int, int, int], shell: int) -> None:
    gain = torch.arange(7).double() + 1
    torch.testing.assert_close(apply_gain(wave(12, k), gain), gain[shell] * wave(12, k))


def test_low_pass_is_half_at_the_resolution() -> None:
    gain = low_pass(64, 2.0, 64 * 2.0 / 20, edge=4)
    torch.testing.assert_close(gain[:19], torch.ones(19).double())
    assert float(gain[20]) == pytest.approx(0.5)
    assert float(gain[19]) + float(gain[21]) == pytest.approx(1.0)
    assert float(gain[22:].max()) == pytest.approx(0.0, abs=1e-12)


def test_a_map_takes_the_spectrum_of_another_and_keeps_its_phases(generator: torch.Generator) -> None:
    volume, like = torch.randn(2, 16, 16, 16, generator=generator, dtype=torch.float64)
    found = with_spectrum_of(volume, 3 * like)
    shells = shell_indices(16)
    ours, theirs, before = (torch.fft.rfftn(v) for v in (found, 3 * like, volume))
    # all but the first and the last plane of the half spectrum stand for two
    twice = torch.tensor([1.0, *[2.0] * 7, 1.0], dtype=torch.float64)
    for shell in range(int(shells.max()) + 1):
        mine = shells == shell
        power, wanted = ((v.abs().square() * twice)[mine].sum() for v in (ours, theirs))
        torch.testing.assert_close(power, wanted)
    torch.testing.assert_close(torch.sgn(ours), torch.sgn(before), rtol=0, atol=1e-6)
