"""Gains a shell, and the low-pass filter."""

import pytest
import torch

from cryorbit.evaluation.radial_filter import apply_gain, low_pass


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
