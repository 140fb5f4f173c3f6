"""The mask found from a map: where it is 1, where it ends, what it leaves out."""

import pytest
import torch

from cryorbit.evaluation.solvent_mask import outline_resolution, solvent_mask
from cryorbit.imaging.masks import soft_ball

BOX, PIXEL_SIZE = 64, 2.0


def ball(radius: float, shift: int = 0) -> torch.Tensor:
    """A ball of density 1, moved along x."""
    return torch.roll(soft_ball(BOX, radius, 1), shift, dims=-1)


def along_x(mask: torch.Tensor) -> torch.Tensor:
    """Values from the centre outwards along x."""
    return mask[BOX // 2, BOX // 2, BOX // 2 :]


def test_one_to_near_and_zero_beyond_far() -> None:
    # unfiltered, the last voxel of the particle is 12 from the centre; 1 to 3 voxels from it, 0 from 7
    profile = along_x(solvent_mask(ball(12), PIXEL_SIZE, 2 * PIXEL_SIZE, near_A=6.0, far_A=14.0))
    edge = torch.tensor([0.8536, 0.5, 0.1464, 0.0])
    torch.testing.assert_close(profile[:20], torch.cat([torch.ones(16), edge]), atol=1e-4, rtol=0)
    assert float(profile[20:].max()) == 0.0


def test_distances_are_at_least_two_and_five_voxels() -> None:
    profile = along_x(solvent_mask(ball(12), 10.0, 20.0))
    torch.testing.assert_close(profile[14:18], torch.tensor([1.0, 0.75, 0.25, 0.0]))


def test_small_parts_go_and_large_ones_stay() -> None:
    speck, partner = ball(2.5, 24), ball(9, 22)
    assert float(solvent_mask(ball(12) + speck, PIXEL_SIZE, 8.0)[32, 32, 32 + 24]) == 0.0
    assert float(solvent_mask(ball(12, -12) + partner, PIXEL_SIZE, 8.0)[32, 32, 32 + 22]) == 1.0


def test_noise_does_not_enter(generator: torch.Generator) -> None:
    clean = solvent_mask(ball(12), PIXEL_SIZE, 15.0)
    noisy = solvent_mask(ball(12) + 0.5 * torch.randn(BOX, BOX, BOX, generator=generator), PIXEL_SIZE, 15.0)
    assert float((noisy - clean).abs().sum() / clean.sum()) < 0.1


def test_scale_of_the_map_does_not_matter() -> None:
    torch.testing.assert_close(solvent_mask(ball(12), PIXEL_SIZE, 8.0), solvent_mask(1e-3 * ball(12), PIXEL_SIZE, 8.0))


def test_mask_stays_within_the_window() -> None:
    window = soft_ball(BOX, 10, 2)
    mask = solvent_mask(ball(14), PIXEL_SIZE, 8.0, window=window)
    assert (mask <= window).all()
    assert torch.equal(mask[window == 1], torch.ones_like(mask[window == 1]))


@pytest.mark.parametrize(("resolution", "outline"), [(3.0, 15.0), (10.0, 15.0), (20.0, 30.0)])
def test_outline_is_looked_for_at_a_resolution_that_is_known(resolution: float, outline: float) -> None:
    assert outline_resolution(resolution) == outline
