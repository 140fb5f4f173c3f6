"""The first radius of branch and bound: where scores of two views differ by more than what lies beyond may add."""

import math

import pytest
import torch

from cryorbit.core.conventions import HERMITIAN_WEIGHT
from cryorbit.fourier.half_disc import HalfDisc, count_within, half_disc
from cryorbit.geometry.so3_grid import hopf_grid
from cryorbit.imaging.ctf import ctf_values
from cryorbit.inference.first_radius import SMALLEST_RADIUS, mean_weight, pruning_radius
from cryorbit.inference.pose_bound import BoundSettings
from cryorbit.simulate.phantoms import blob_volume, random_blobs
from cryorbit.volumes.voxel import VoxelModel, resample, working_grid
from phantom_sets import PhantomSet, sharp_phantom

BOX, RADIUS = 32, 13.0
SETTINGS = BoundSettings()


@pytest.fixture(scope="module")
def disc() -> HalfDisc:
    return half_disc(BOX, RADIUS)


def model_of(volume: torch.Tensor) -> VoxelModel:
    grid = working_grid(BOX, RADIUS)
    return grid.model(resample(volume, grid.size)[None])


@pytest.fixture(scope="module")
def model() -> VoxelModel:
    return model_of(sharp_phantom(torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("strength", [3.0, 3e-3])
def test_it_is_the_first_at_which_the_contrast_exceeds_what_lies_beyond(
    model: VoxelModel, disc: HalfDisc, strength: float
) -> None:
    weight = strength * torch.rand(len(disc), generator=torch.Generator().manual_seed(1))
    chosen = pruning_radius(model, disc, weight, SETTINGS)
    assert SMALLEST_RADIUS < chosen < RADIUS
    rotations = hopf_grid(2)[::32].float()
    slices = model.slices(torch.zeros(144, dtype=torch.long), rotations, disc.frequencies)

    def excess(radius: float) -> float:
        count = count_within(disc, radius)
        pairs = [0.5 * (weight * (slices[i] - slices[i - 72]).abs() ** 2)[:count].sum() for i in range(144)]
        beyond = 0.5 * float((weight * slices.abs() ** 2)[:, count:].sum(1).max())
        return float(torch.stack(pairs).mean()) - beyond - 4 * math.sqrt(2 * beyond)

    assert excess(chosen - 1) < 0 < excess(chosen)


def test_faint_images_need_a_larger_radius_and_the_faintest_all(model: VoxelModel, disc: HalfDisc) -> None:
    """The noise of the coefficients beyond counts the more the less of the map there is."""
    chosen = [pruning_radius(model, disc, torch.full((len(disc),), w), SETTINGS) for w in (1.0, 1e-3, 1e-6)]
    assert chosen[0] < chosen[1] < chosen[2] == RADIUS


def test_a_smooth_map_is_searched_at_a_smaller_radius(model: VoxelModel, disc: HalfDisc) -> None:
    smooth = blob_volume(random_blobs(BOX, torch.Generator().manual_seed(3), 24), BOX)
    weight = torch.full((len(disc),), 30.0)
    assert pruning_radius(model_of(smooth), disc, weight, SETTINGS) < pruning_radius(model, disc, weight, SETTINGS)


def test_the_weight_is_the_mean_over_an_even_sample(clear_set: PhantomSet) -> None:
    band = clear_set.band(10.0)
    index = torch.arange(3, 40)
    ctf = ctf_values(clear_set.source.ctf[index], band.disc.frequencies / (BOX * 4.0))
    expected = HERMITIAN_WEIGHT * (ctf**2).mean(0) / band.noise_variance[band.disc.shells]
    torch.testing.assert_close(mean_weight(clear_set.source, index, band), expected.float())
