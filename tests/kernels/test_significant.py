"""Lists of poses: the reference's; up to rounding for flat posteriors, whose sums run in another order."""

import pytest
import torch
from places import KERNELS, implementation

from cryorbit.kernels.significant import Entries, Limits, list_numba, list_torch
from cryorbit.kernels.table import SIGNIFICANT

Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
NEVER_FLAT = Limits(10.0, 10**6, 1024)
LISTED = ("image", "shift", "view", "log_weight", "best")


def block(generator: torch.Generator, shifts: int, slices: int) -> tuple[Parts, torch.Tensor]:
    """Scores of six images, the first of them flat, the fourth far behind an earlier block."""
    even, odd = (3 * torch.randn(6, shifts, slices, generator=generator) for _ in range(2))
    even[0] *= 0.1
    odd[0] *= 0.1
    before = torch.full((6,), -torch.inf)
    before[2], before[3] = 10.0, 100.0
    of_shift = torch.randn(shifts, generator=generator)
    return (even, odd, of_shift, torch.randn(6, 2, slices, generator=generator)), before


def assert_alike(found: Entries, expected: Entries) -> None:
    for name in ("image", "shift", "view"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.shape == other.shape
        # a quantile may fall on the neighbouring pose
        assert (one != other).float().mean() < 0.01
    torch.testing.assert_close(found.log_weight.sort().values, expected.log_weight.sort().values)
    torch.testing.assert_close(found.best, expected.best)


@pytest.mark.parametrize("place", ["reference", *KERNELS])
def test_an_entry_is_a_score_near_the_best_one(generator: torch.Generator, place: str) -> None:
    parts, before = block(generator, 7, 150)
    even, odd, of_shift, offset = parts
    listed = list_torch if place == "reference" else implementation(SIGNIFICANT, place)
    found = listed(*parts, before, NEVER_FLAT)
    views = torch.stack([even + odd + offset[:, None, 0], even - odd + offset[:, None, 1]], 3) + of_shift[:, None, None]
    scores = views.flatten(2)
    torch.testing.assert_close(found.log_weight, scores[found.image, found.shift, found.view])
    torch.testing.assert_close(found.best, scores.amax((1, 2)))
    expected = scores > torch.maximum(scores.amax((1, 2)), before)[:, None, None] - 10
    assert torch.equal(found.image.bincount(minlength=6), expected.sum((1, 2)))
    assert len({*zip(found.image.tolist(), found.shift.tolist(), found.view.tolist(), strict=True)}) == expected.sum()


def test_peaked_posteriors_are_listed_as_the_reference_lists_them(generator: torch.Generator) -> None:
    parts, before = block(generator, 7, 150)
    kernel, reference = (each(*parts, before, NEVER_FLAT) for each in (list_numba, list_torch))
    assert len(kernel.image) > 1000
    for name in LISTED:
        assert torch.equal(getattr(kernel, name), getattr(reference, name)), name
    assert 3 not in kernel.image


@pytest.mark.parametrize("place", KERNELS)
@pytest.mark.parametrize("flat", [2048, 100])
@pytest.mark.parametrize(("shifts", "slices"), [(7, 150), (1, 512), (3, 342), (2, 3)])
def test_kernel_lists_what_the_reference_lists(
    generator: torch.Generator, place: str, flat: int, shifts: int, slices: int
) -> None:
    """With less than a block of poses, one, and a little more, of which all or some images are flat."""
    parts, before = block(generator, shifts, slices)
    limits = Limits(10.0, flat, 64)
    found, expected = implementation(SIGNIFICANT, place)(*parts, before, limits), list_torch(*parts, before, limits)
    assert_alike(found, expected)


@pytest.mark.parametrize("place", KERNELS)
def test_a_flat_posterior_is_drawn_evenly(place: str) -> None:
    """Equal scores: the entries stand in the middle of equal parts, and weigh as much as the parts."""
    even, offset = torch.zeros(2, 4, 256), torch.zeros(2, 2, 256)
    parts = even, even.clone(), torch.zeros(4), offset
    entries = implementation(SIGNIFICANT, place)(*parts, torch.zeros(2), Limits(10.0, 100, 32))
    # in the order of shifts, sides and slices
    pose = (entries.shift * 512 + entries.view % 2 * 256 + entries.view // 2).view(2, 32)
    assert torch.equal(pose, (31 + 64 * torch.arange(32)).expand(2, 32))
    torch.testing.assert_close(entries.log_weight.exp(), torch.full((64,), 64.0))


@pytest.mark.parametrize("place", KERNELS)
def test_squares_are_those_of_poses_near_the_best(generator: torch.Generator, place: str) -> None:
    parts, before = block(generator, 5, 200)
    given = *parts, before, Limits(10.0, 100, 64)
    found, expected = implementation(SIGNIFICANT, place)(*given), list_torch(*given)
    # of an image far behind, nothing is near: kernels may leave it out
    near = torch.tensor([0, 1, 2, 4, 5])
    torch.testing.assert_close(found.log_squares[near], expected.log_squares[near], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("place", KERNELS)
def test_nothing_near_is_nothing_listed(place: str) -> None:
    parts = torch.zeros(3, 2, 10), torch.zeros(3, 2, 10), torch.zeros(2), torch.zeros(3, 2, 10)
    entries = implementation(SIGNIFICANT, place)(*parts, torch.full((3,), 50.0), Limits(10.0, 2048, 1024))
    assert len(entries.image) == len(entries.log_weight) == 0
