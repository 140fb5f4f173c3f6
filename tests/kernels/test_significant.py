"""Lists of poses: thinned posteriors, where the running sums of kernel and reference differ in rounding."""

import pytest
import torch

from cryorbit.kernels.significant import Limits, list_numba, list_torch


@pytest.mark.parametrize("flat", [2048, 100])
def test_kernel_lists_what_the_reference_lists(generator: torch.Generator, flat: int) -> None:
    scores = 4 * torch.randn(6, 7, 300, generator=generator)
    scores[0] *= 0.1
    offset = torch.randn(6, 300, generator=generator)
    before = torch.full((6,), -torch.inf)
    before[3] = 30.0
    kernel, reference = (each(scores, offset, before, Limits(10.0, flat, 1024)) for each in (list_numba, list_torch))
    for name in ("image", "shift", "slice"):
        # a quantile may fall on the neighbouring pose
        assert (getattr(kernel, name) != getattr(reference, name)).float().mean() < 0.01
    torch.testing.assert_close(kernel.log_weight.sort().values, reference.log_weight.sort().values)
    torch.testing.assert_close(kernel.best, reference.best)
