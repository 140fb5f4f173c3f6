"""The spread of repeated maps by shell: against numbers that are known."""

import torch

from cryorbit.evaluation.map_spread import relative_spread


def test_the_spread_of_a_map_with_noise_is_that_of_the_noise(generator: torch.Generator) -> None:
    white = torch.randn(24, 24, 24, generator=generator)
    noise = torch.randn(40, 24, 24, 24, generator=generator)
    spread = relative_spread(white + 0.3 * noise)
    torch.testing.assert_close(spread[4:], torch.full_like(spread[4:], 0.3), rtol=0.1, atol=0)
    torch.testing.assert_close(relative_spread(5 * (white + 0.3 * noise)), spread)


def test_two_maps_with_nothing_in_common_differ_more_than_they_agree(generator: torch.Generator) -> None:
    pair = torch.randn(2, 24, 24, 24, generator=generator)
    # the mean of two has half the power of one, their difference twice as much
    assert abs(float(relative_spread(pair)[6:].mean()) - 2**0.5) < 0.1


def test_equal_maps_have_no_spread_and_empty_shells_none(generator: torch.Generator) -> None:
    volume = torch.randn(16, 16, 16, generator=generator)
    assert float(relative_spread(volume.expand(3, -1, -1, -1)).max()) < 1e-6
    assert relative_spread(torch.zeros(2, 16, 16, 16)).eq(0).all()
