"""Lists of poses: the reference's to the bit; up to rounding for flat posteriors, whose sums run in another order."""

import pytest
import torch

from cryorbit.kernels.significant import Limits, list_numba, list_torch

Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
NEVER_FLAT = Limits(10.0, 10**6, 1024)
LISTED = ("image", "shift", "view", "log_weight", "best")


@pytest.fixture
def parts(generator: torch.Generator) -> Parts:
    """Scores of six images, the first one flat; the slices are no whole number of strides."""
    even, odd = (3 * torch.randn(6, 7, 150, generator=generator) for _ in range(2))
    even[0] *= 0.1
    odd[0] *= 0.1
    return even, odd, torch.randn(7, generator=generator), torch.randn(6, 2, 150, generator=generator)


@pytest.fixture
def before() -> torch.Tensor:
    """Best scores of earlier blocks: one image had a better one than any here, one a good one."""
    before = torch.full((6,), -torch.inf)
    before[2], before[3] = 100.0, 10.0
    return before


@pytest.mark.parametrize("listed", [list_numba, list_torch])
def test_an_entry_is_a_score_near_the_best_one(parts: Parts, before: torch.Tensor, listed) -> None:
    even, odd, of_shift, offset = parts
    found = listed(*parts, before, NEVER_FLAT)
    views = torch.stack([even + odd + offset[:, None, 0], even - odd + offset[:, None, 1]], 3) + of_shift[:, None, None]
    scores = views.flatten(2)
    torch.testing.assert_close(found.log_weight, scores[found.image, found.shift, found.view])
    torch.testing.assert_close(found.best, scores.amax((1, 2)))
    expected = scores > torch.maximum(scores.amax((1, 2)), before)[:, None, None] - 10
    assert torch.equal(found.image.bincount(minlength=6), expected.sum((1, 2)))
    assert len({*zip(found.image.tolist(), found.shift.tolist(), found.view.tolist(), strict=True)}) == expected.sum()


def test_peaked_posteriors_are_listed_as_the_reference_lists_them(parts: Parts, before: torch.Tensor) -> None:
    kernel, reference = (each(*parts, before, NEVER_FLAT) for each in (list_numba, list_torch))
    assert len(kernel.image) > 1000
    for name in LISTED:
        assert torch.equal(getattr(kernel, name), getattr(reference, name)), name
    assert 2 not in kernel.image


@pytest.mark.parametrize("flat", [1500, 100])
def test_flat_posteriors_are_listed_as_the_reference_lists_them(parts: Parts, before: torch.Tensor, flat: int) -> None:
    kernel, reference = (each(*parts, before, Limits(10.0, flat, 1024)) for each in (list_numba, list_torch))
    assert (kernel.image == 0).sum() == 1024
    for name in ("image", "shift", "view"):
        # a quantile may fall on the neighbouring pose
        assert (getattr(kernel, name) != getattr(reference, name)).float().mean() < 0.01
    torch.testing.assert_close(kernel.log_weight.sort().values, reference.log_weight.sort().values)
    torch.testing.assert_close(kernel.log_squares[:2], reference.log_squares[:2])
    assert torch.equal(kernel.best, reference.best)
