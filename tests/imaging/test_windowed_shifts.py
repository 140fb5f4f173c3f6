"""Windowed circular shifts against the definition, and their adjoint and normal maps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.core.errors import InputError
from cryorbit.imaging.windowed_shifts import WindowedShifts

sizes = st.integers(1, 12).flatmap(lambda length: st.tuples(st.just(length), st.integers(1, length)))


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_shift_moves_a_signal_forward_and_the_window_keeps_its_beginning() -> None:
    signal = torch.arange(5.0)[None]
    shifted = WindowedShifts.of(5, 3, signal).project(signal)
    assert shifted[:, 0].tolist() == [torch.arange(5.0).roll(shift)[:3].tolist() for shift in range(5)]


@settings(deadline=None, max_examples=40)
@given(size=sizes, channels=st.integers(1, 2), seed=st.integers(0, 1000))
def test_the_adjoint_and_the_normal_map_are_exact(size: tuple[int, int], channels: int, seed: int) -> None:
    length, window = size
    signal, windows = draw(channels, length, seed=seed), draw(length, channels, window, seed=seed + 1)
    shifts = WindowedShifts.of(length, window, signal)
    projected, backprojected = shifts.project(signal), shifts.backproject(windows)
    assert projected.shape == windows.shape
    assert backprojected.shape == signal.shape
    torch.testing.assert_close((projected * windows).sum(), (signal * backprojected).sum())
    weights = draw(length, seed=seed + 2)
    expected = shifts.backproject(weights[:, None, None] * projected)
    torch.testing.assert_close(shifts.normal(weights) * signal, expected)


@pytest.mark.parametrize("window", [0, 6])
def test_a_window_that_does_not_fit_is_refused(window: int) -> None:
    with pytest.raises(InputError, match="does not fit a signal of 5"):
        WindowedShifts.of(5, window, torch.zeros(1))
