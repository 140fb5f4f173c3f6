"""Lists of poses: thinned posteriors, where the running sums of kernels and reference differ in rounding."""

import pytest
import torch
from places import KERNELS, implementation

from cryorbit.kernels.significant import Entries, Limits, list_torch
from cryorbit.kernels.table import SIGNIFICANT


def block(generator: torch.Generator, shifts: int, slices: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores of six images, the first of them flat, the fourth far behind an earlier block."""
    scores = 4 * torch.randn(6, shifts, slices, generator=generator)
    scores[0] *= 0.1
    before = torch.full((6,), -torch.inf)
    before[3] = 30.0
    return scores, torch.randn(6, slices, generator=generator), before


def assert_alike(found: Entries, expected: Entries) -> None:
    for name in ("image", "shift", "slice"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.shape == other.shape
        # a quantile may fall on the neighbouring pose
        assert (one != other).float().mean() < 0.01
    torch.testing.assert_close(found.log_weight.sort().values, expected.log_weight.sort().values)
    torch.testing.assert_close(found.best, expected.best)


@pytest.mark.parametrize("place", KERNELS)
@pytest.mark.parametrize("flat", [2048, 100])
@pytest.mark.parametrize(("shifts", "slices"), [(7, 300), (1, 1024), (3, 683), (2, 5)])
def test_kernel_lists_what_the_reference_lists(
    generator: torch.Generator, place: str, flat: int, shifts: int, slices: int
) -> None:
    """With less than a block of poses, one, and a little more, of which all or some images are flat."""
    given = *block(generator, shifts, slices), Limits(10.0, flat, 64)
    found, expected = implementation(SIGNIFICANT, place)(*given), list_torch(*given)
    assert_alike(found, expected)


@pytest.mark.parametrize("place", KERNELS)
def test_a_flat_posterior_is_drawn_evenly(place: str) -> None:
    """Equal scores: the entries stand in the middle of equal parts, and weigh as much as the parts."""
    scores, offset = torch.zeros(2, 4, 512), torch.zeros(2, 512)
    entries = implementation(SIGNIFICANT, place)(scores, offset, torch.zeros(2), Limits(10.0, 100, 32))
    pose = (entries.shift * 512 + entries.slice).view(2, 32)
    assert torch.equal(pose, (31 + 64 * torch.arange(32)).expand(2, 32))
    torch.testing.assert_close(entries.log_weight.exp(), torch.full((64,), 64.0))


@pytest.mark.parametrize("place", KERNELS)
def test_squares_are_those_of_poses_near_the_best(generator: torch.Generator, place: str) -> None:
    given = *block(generator, 5, 400), Limits(10.0, 100, 64)
    found, expected = implementation(SIGNIFICANT, place)(*given), list_torch(*given)
    # of an image far behind, nothing is near: kernels may leave it out
    near = torch.tensor([0, 1, 2, 4, 5])
    torch.testing.assert_close(found.log_squares[near], expected.log_squares[near], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("place", KERNELS)
def test_nothing_near_is_nothing_listed(place: str) -> None:
    entries = implementation(SIGNIFICANT, place)(
        torch.zeros(3, 2, 10), torch.zeros(3, 10), torch.full((3,), 50.0), Limits(10.0, 2048, 1024)
    )
    assert len(entries.image) == len(entries.log_weight) == 0
