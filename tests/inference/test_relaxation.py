"""Maps go beyond a pass of EM while the radius stands and the images fit better."""

import pytest
import torch

from cryorbit.inference.relaxation import Scored, relaxed
from cryorbit.volumes.voxel import resample

LAST = Scored(20.0, 30.0)


@pytest.mark.parametrize(
    ("now", "beyond"),
    [
        pytest.param(Scored(20.0, 31.0), 0.75, id="the radius stands and the images fit better"),
        pytest.param(LAST, 0.75, id="the images fit as well"),
        pytest.param(Scored(21.5, 25.0), 0.75, id="the radius hardly grew, likelihoods do not compare"),
        pytest.param(Scored(23.4, 31.0), 0.0, id="the radius grew"),
        pytest.param(Scored(20.0, 29.0), 0.0, id="the last step was too long"),
    ],
)
def test_maps_go_beyond_a_pass_while_that_helps(now: Scored, beyond: float) -> None:
    before, made = torch.ones(2, 1, 4, 4, 4), torch.full((2, 1, 4, 4, 4), 3.0)
    assert torch.equal(relaxed(before, made, 0.75, now, LAST), made + beyond * 2)


def test_the_first_pass_of_a_radius_is_a_step_of_em() -> None:
    before, made = torch.ones(1, 4, 4, 4), torch.full((1, 4, 4, 4), 3.0)
    assert torch.equal(relaxed(before, made, 0.75, LAST, Scored(20.0, float("-inf"))), made)


def test_without_relaxation_a_pass_is_a_step_of_em() -> None:
    made = torch.full((1, 4, 4, 4), 3.0)
    assert torch.equal(relaxed(torch.ones(1, 4, 4, 4), made, 0.0, LAST, LAST), made)


def test_maps_before_may_be_on_a_coarser_grid() -> None:
    before = torch.zeros(1, 4, 4, 4)
    before[..., 2, 2, 2] = 1
    made = resample(before, 8)
    torch.testing.assert_close(relaxed(before, made, 0.75, LAST, LAST), made)


def test_a_broad_mixture_reaches_its_fixed_point_in_fewer_passes() -> None:
    """EM of m in x = s m + noise with unknown signs s is slow where m is small: posteriors are broad."""
    generator = torch.Generator().manual_seed(3)
    signs = torch.randint(2, (4000,), generator=generator) * 2.0 - 1
    data = 0.8 * signs + torch.randn(4000, generator=generator)

    def passes(part: float) -> int:
        mean, last = torch.full((1, 1, 1), 0.1), Scored(1.0, float("-inf"))
        for count in range(1, 500):
            likelihood = float((data * mean.item()).cosh().log().mean() - mean.item() ** 2 / 2)
            made = (data * (data * mean.item()).tanh()).mean().reshape(1, 1, 1)
            if abs(made.item() - mean.item()) < 1e-4:
                return count
            now = Scored(1.0, likelihood)
            mean, last = relaxed(mean, made, part, now, last), now
        raise AssertionError

    assert passes(0.75) < 0.7 * passes(0.0)
