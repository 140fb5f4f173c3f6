"""The bound on scores is a bound, at the confidence it states; the published deviation is not."""

import math

import pytest
import torch

from cryorbit.fourier.half_disc import HalfDisc, count_within, half_disc
from cryorbit.geometry.rotations import random_rotations, rotvec_to_matrix
from cryorbit.geometry.so3_grid import hopf_grid
from cryorbit.imaging.observations import observe
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.transfer import Transfer
from cryorbit.inference.candidates import Candidates, score_candidates
from cryorbit.inference.pose_bound import (
    BoundSettings,
    SliceSamples,
    bound_margin,
    noise_allowance,
    omitted_power,
    sample_slices,
)
from cryorbit.volumes.voxel import VoxelModel, resample, working_grid
from phantom_sets import sharp_phantom

BOX, RADIUS, LOW = 32, 10.0, 5.0
DRAWS = 40000
PUBLISHED, EXACT = BoundSettings(deviation="published", cell_reach=0.0), BoundSettings(cell_reach=0.0)


def normal_tail(x: float) -> float:
    """Probability that a standard normal number exceeds x."""
    return 0.5 * math.erfc(x / math.sqrt(2))


@pytest.fixture(scope="module")
def disc() -> HalfDisc:
    return half_disc(BOX, RADIUS)


@pytest.fixture(scope="module")
def model() -> VoxelModel:
    grid = working_grid(BOX, RADIUS)
    phantom = sharp_phantom(torch.Generator().manual_seed(3))
    return grid.model(resample(phantom, grid.size)[None])


def one_slice(model: VoxelModel, disc: HalfDisc) -> torch.Tensor:
    first = torch.zeros(1, dtype=torch.long)
    rotation = random_rotations(1, torch.Generator().manual_seed(5)).float()
    return model.slices(first, rotation, disc.frequencies)


@pytest.mark.parametrize("confidence", [1.0, 2.0, 3.0])
def test_the_bound_fails_as_often_as_it_says(model: VoxelModel, disc: HalfDisc, confidence: float) -> None:
    """Many noisy images of one slice whose own power beyond L stands for the largest: the worst case, an equality.

    Exceptions of the exact deviation have the probability of a normal tail; the published one has those of a
    deviation too small by the square root of two.
    """
    generator = torch.Generator().manual_seed(9)
    slice_, count = one_slice(model, disc)[0], count_within(disc, LOW)
    ctf = torch.rand(len(disc), generator=generator) * 2 - 1
    noise = 0.5 + torch.rand(len(disc), generator=generator)
    # randn of a complex type has unit variance in all, which is what a coefficient of white noise has
    white = torch.randn(DRAWS, len(disc), dtype=torch.complex64, generator=generator)
    seen = observe(ctf * slice_ + noise.sqrt() * white, Transfer(ctf.expand(DRAWS, -1)), noise)
    beyond = (slice_.conj() * seen.data).real - 0.5 * seen.weight * slice_.abs() ** 2
    beyond = beyond[:, count:].sum(1)
    samples = SliceSamples(slice_.abs()[None] ** 2, torch.zeros(1, len(disc)))
    for deviation, tail in (("exact", confidence), ("published", confidence / math.sqrt(2))):
        margin = bound_margin(seen.weight, samples, count, BoundSettings(confidence, deviation))
        expected = DRAWS * normal_tail(tail)
        assert abs(int((beyond > margin).sum()) - expected) < 4 * math.sqrt(expected)


def test_four_deviations_hold_where_the_published_ones_do_not() -> None:
    """The default confidence, by its rate: 3 in 100,000, against 2 in 1,000."""
    power = torch.tensor([7.0])
    assert noise_allowance(power, EXACT) == pytest.approx(4 * math.sqrt(14))
    assert noise_allowance(power, PUBLISHED) == pytest.approx(4 * math.sqrt(7))
    assert BoundSettings() == BoundSettings(4.0, "exact", "image", 0.7)
    assert normal_tail(4) < 3.2e-5 < 2.3e-3 < normal_tail(4 / math.sqrt(2))


def test_full_scores_stay_below_the_bound_for_all_poses(model: VoxelModel, disc: HalfDisc) -> None:
    """Scores of many poses, right and wrong ones, of noisy images; the sampled power is the largest there is."""
    generator = torch.Generator().manual_seed(6)
    images, each, count = 30, 200, count_within(disc, LOW)
    truth = random_rotations(images, generator).float()
    klass = torch.zeros(images * each, dtype=torch.long)
    clean = 2 * model.slices(klass[:images], truth, disc.frequencies)
    noisy = clean + torch.randn(clean.shape, dtype=clean.dtype, generator=generator)
    seen = observe(noisy, Transfer(torch.ones_like(noisy.real)), torch.ones(len(disc)))
    near = rotvec_to_matrix(0.2 * torch.randn(images, each // 2, 3, dtype=torch.float64, generator=generator))
    far = random_rotations(images * each // 2, generator).unflatten(0, (images, -1))
    rotations = torch.cat([near @ truth[:, None].double(), far], 1).flatten(0, 1).float()
    image = torch.arange(images).repeat_interleave(each)
    poses = Candidates(image, klass, rotations, torch.zeros(len(image), 2))
    low = HalfDisc(BOX, LOW, disc.frequencies[:count], disc.shells[:count])
    here, stronger = torch.zeros(1, 2), VoxelModel(2 * model.spectra)
    full = score_candidates(poses, seen, stronger, disc, here).log_joint[:, 0]
    part = score_candidates(poses, seen.within(count), stronger, low, here).log_joint[:, 0]
    samples = sample_slices(stronger, disc, (15.0, 2.0), EXACT)
    margin = bound_margin(seen.weight, samples, count, EXACT)[image]
    assert bool((full <= part + margin).all())
    # and it is not a bound by being far away: for the best poses half of it is used
    assert float(((full - part) / margin).max()) > 0.4


def test_slices_are_sampled_at_144_views_and_offset_to_the_corners_of_a_cell(model: VoxelModel, disc: HalfDisc) -> None:
    """Every fourth or fifth sample is offset to one of the 32 corners of three angles and two shifts."""
    rotations = hopf_grid(2)[::32]
    assert len(rotations) == 144
    apart = torch.cdist(rotations[:, 2], rotations[:, 2]) + 2 * torch.eye(144)
    assert float(apart.min()) > 0.1
    first = torch.zeros(144, dtype=torch.long)
    samples = sample_slices(model, disc, (10.0, 1.5), BoundSettings(cell_reach=0.5))
    here = model.slices(first, rotations.float(), disc.frequencies)
    torch.testing.assert_close(samples.power, here.abs() ** 2)
    # in turn, the last of the five changing fastest: the sixth corner is the lower one but for two of them
    for number, signs in ((0, (-1, -1, -1, -1, -1)), (5, (-1, -1, 1, -1, 1)), (63, (1, 1, 1, 1, 1))):
        corner = 0.25 * torch.tensor(signs, dtype=torch.float64)
        turned = rotvec_to_matrix(corner[:3] * math.radians(10.0)) @ rotations[number]
        moved = model.slices(first[:1], turned.float()[None], disc.frequencies)[0]
        moved = moved * shift_phases(1.5 * corner[3:].float()[None], disc)[0]
        torch.testing.assert_close(samples.change[number], (here[number] - moved).abs() ** 2, rtol=1e-3, atol=1e-4)


def test_nothing_is_omitted_at_the_full_radius(model: VoxelModel, disc: HalfDisc) -> None:
    weight = torch.ones(3, len(disc))
    samples = sample_slices(model, disc, (15.0, 2.0), EXACT)
    assert torch.equal(bound_margin(weight, samples, len(disc), EXACT), torch.zeros(3))
    powers = [float(omitted_power(weight, samples, n, EXACT)[0]) for n in range(0, len(disc), 20)]
    assert powers == sorted(powers, reverse=True)
    assert powers[0] == pytest.approx(0.5 * float(samples.power.sum(1).max()))


def test_a_group_shares_its_mean_ctf(model: VoxelModel, disc: HalfDisc) -> None:
    weight = torch.rand(5, len(disc), generator=torch.Generator().manual_seed(2))
    samples, count = sample_slices(model, disc, (15.0, 2.0), EXACT), count_within(disc, LOW)
    own = omitted_power(weight, samples, count, EXACT)
    shared = omitted_power(weight, samples, count, BoundSettings(ctf="group"))
    assert len(set(shared.tolist())) == 1 < len(set(own.tolist()))
    by_hand = 0.5 * (samples.power * weight.mean(0))[:, count:].sum(1).max()
    assert float(shared[0]) == pytest.approx(float(by_hand), rel=1e-5)


def test_the_allowance_for_a_cell_is_what_its_centre_loses(model: VoxelModel, disc: HalfDisc) -> None:
    """Without noise: score of a pose minus score of the centre is half the weighted square of their difference."""
    settings = BoundSettings(cell_reach=1.0)
    cell, seen_weight = (10.0, 1.5), torch.full((1, len(disc)), 2.0)
    samples = sample_slices(model, disc, cell, settings)
    allowed = float(bound_margin(seen_weight, samples, len(disc), settings)[0])
    generator = torch.Generator().manual_seed(4)
    inside = torch.rand(500, 5, dtype=torch.float64, generator=generator) - 0.5
    rotations = random_rotations(500, generator)
    moved = rotvec_to_matrix(inside[:, :3] * math.radians(cell[0])) @ rotations
    klass = torch.zeros(500, dtype=torch.long)
    centre = model.slices(klass, rotations.float(), disc.frequencies)
    pose = model.slices(klass, moved.float(), disc.frequencies)
    pose = pose * shift_phases(inside[:, 3:].float() * cell[1], disc)
    losses = ((pose - centre).abs() ** 2).sum(1)
    assert float(losses.max()) < allowed
    # corners lie further out than random points, whose mean squared distance is a third of theirs
    assert float(losses.mean()) > 0.1 * allowed
