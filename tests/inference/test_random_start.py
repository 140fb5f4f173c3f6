"""Random first volumes: as the generator says, inside their radius, centred."""

import pytest
import torch

from cryorbit.inference.constraints import centre_offset
from cryorbit.inference.random_start import WIDTH, random_blobs


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
