"""Random first volumes: as the generator says, inside their radius, centred."""

import math

import pytest
import torch

from cryorbit.inference.constraints import centre_offset
from cryorbit.inference.random_start import WIDTH, random_blobs, reflected


def started(seed: int, size: int = 32, radius: float = 10.0) -> torch.Tensor:
    return random_blobs(size, radius, torch.Generator().manual_seed(seed))


def test_the_generator_determines_the_volume() -> None:
    assert torch.equal(started(3), started(3))
    a, b = started(3), started(4)
    a, b = a - a.mean(), b - b.mean()
    assert float((a * b).sum() / (a.norm() * b.norm())) < 0.9


@pytest.mark.parametrize("seed", range(8))
def test_density_is_positive_inside_the_radius_and_centred(seed: int) -> None:
    size, radius = 48, 18.0
    volume = started(seed, size, radius)
    axis = torch.arange(size) - size // 2
    distance = torch.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    assert float(volume.min()) >= 0
    assert float(volume[distance > radius + 4 * WIDTH * size].sum() / volume.sum()) < 0.01
    assert float(centre_offset(volume[None]).abs().max()) < 1.5


def test_a_volume_is_no_ball() -> None:
    """Its second moments along the axes differ: a start without shape would teach nothing."""
    volume = started(1, 48, 18.0)
    axis = torch.arange(48.0) - 24
    spread = [float((volume.sum(dims) * axis**2).sum() / volume.sum()) for dims in ((1, 2), (0, 2), (0, 1))]
    assert max(spread) > 1.2 * min(spread)


def test_thirty_blobs_are_five_128ths_of_the_box_wide() -> None:
    """Within a radius of zero all of them lie in the middle: widths are log-normal about 2.5 of 64, by a quarter."""
    sums = []
    for seed in range(12):
        volume = started(seed, 64, 0.0)
        assert float(volume[32, 32, 32]) == pytest.approx(30, rel=1e-5)
        assert float(volume.max()) == float(volume[32, 32, 32])
        sums.append(float(volume.sum()) / 30)
    # the mean of cubes of log-normal numbers is exp(9 / 2 * 0.25^2) times that of the median
    width = (sum(sums) / 12 / ((2 * math.pi) ** 1.5 * math.exp(4.5 * 0.25**2))) ** (1 / 3)
    assert width == pytest.approx(2.5, rel=0.06)


def test_a_step_out_of_the_window_is_mirrored_at_its_boundary() -> None:
    point = torch.tensor([3.0, 0.0, 4.0])
    assert torch.equal(reflected(point, 5.0), point)
    # a point one beyond the boundary is put one within it, in the same direction
    torch.testing.assert_close(reflected(point, 4.0), point * 3 / 5)
    assert not reflected(point, 2.0).any()
