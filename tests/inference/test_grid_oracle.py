"""The sum over a grid of poses: steps along its field, its units, its E- and M-step, and classes without images."""

import math
from dataclasses import replace

import pytest
import torch

from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.geometry.so3_grid import paired_grid
from cryorbit.imaging.masks import soft_ball
from cryorbit.imaging.observations import Observations
from cryorbit.inference import grid_oracle
from cryorbit.inference.grid_oracle import CURVATURES, Curvature, GridOracle, diagonal, largest
from cryorbit.inference.marginal import SliceStatistics
from cryorbit.inference.pose_grid import PoseGrid
from cryorbit.inference.random_start import random_blobs
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.momentum import Momentum
from cryorbit.optim.preconditioned_sgd import PreconditionedSGD
from cryorbit.optim.units import Scaled, natural_scale
from phantom_sets import PhantomSet

RADIUS = 5.0


def make(
    particles: PhantomSet, classes: int = 1, curvature: Curvature = diagonal, images: int = 60
) -> tuple[GridOracle, torch.Tensor]:
    """The sum over the first images, and volumes to start from."""
    band = particles.band(RADIUS)
    observations = particles.source.observe(torch.arange(images), band.disc, band.noise_variance)
    poses = PoseGrid(paired_grid(1).float().expand(classes, -1, 3, 3), disc_grid(2.0, 2.0).float())
    size = band.grid.size
    starts = [random_blobs(size, 0.35 * size, torch.Generator().manual_seed(seed)) for seed in range(classes)]
    volume = 0.3 * particles.volumes.max() / torch.stack(starts).max() * torch.stack(starts)
    oracle = GridOracle(observations, poses, band.grid, band.disc, curvature)
    return oracle, volume * soft_ball(size, 0.4 * size, 2.0)


def likelihoods(oracle: GridOracle, x: torch.Tensor, steps: int) -> list[float]:
    """Log-likelihood before each of some whole steps along the field."""
    for _ in range(steps):
        x = x - oracle.evaluate(x, None).field
    return [report.log_likelihood for report in oracle.reports]


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("curvature", CURVATURES.values(), ids=CURVATURES)
def test_whole_steps_never_lose_likelihood(curvature: Curvature, classes: int, clear_set: PhantomSet) -> None:
    """Both metrics majorise: a whole step is an M-step or a shorter one."""
    found = likelihoods(*make(clear_set, classes, curvature), 7)
    assert float(torch.tensor(found).diff().min()) > 0
    assert found[-1] > found[0] + 10


def test_curvatures_are_the_weights_and_a_fiftieth_of_the_largest_or_that_alone() -> None:
    weight = torch.tensor([0.0, 1.0, 50.0])[:, None, None]
    assert diagonal(weight).flatten().tolist() == [1, 2, 51]
    assert largest(weight).flatten().tolist() == [50, 50, 50]


def test_dividing_by_the_weights_is_faster(clear_set: PhantomSet) -> None:
    reached = {
        name: likelihoods(*make(clear_set, curvature=curvature), 5)[-1] for name, curvature in CURVATURES.items()
    }
    assert reached["diagonal"] > reached["largest"] + 5


@pytest.mark.parametrize("curvature", CURVATURES.values(), ids=CURVATURES)
def test_in_its_units_the_square_of_the_field_is_the_slope(curvature: Curvature, clear_set: PhantomSet) -> None:
    oracle, x = make(clear_set, curvature=curvature)
    scale = natural_scale(PreconditionedSGD(), oracle, x)
    assert math.log2(scale) == round(math.log2(scale))
    scaled = Scaled(oracle, scale)
    field = scaled.evaluate(scale * x, None).field
    values = [scaled.evaluate(scale * x + step * field, None).value for step in (-1e-2, 1e-2)]
    slope = float(values[1] - values[0]) / 2e-2
    # a power of two is up to the square root of two off
    assert 0.4 < slope / float(field.square().sum()) < 2.5
    assert natural_scale(Momentum(), oracle, x) == 1


def test_the_unit_changes_no_map(clear_set: PhantomSet) -> None:
    oracle, x = make(clear_set)
    scaled = Scaled(oracle, 8.0)
    torch.testing.assert_close(8 * oracle.evaluate(x, None).field, scaled.evaluate(8 * x, None).field, rtol=0, atol=0)
    statistics = oracle.expect(x, None).statistics
    torch.testing.assert_close(8 * oracle.maximise(statistics), scaled.maximise(statistics), rtol=0, atol=0)


def test_em_on_the_grid_gains_likelihood(clear_set: PhantomSet) -> None:
    oracle, x = make(clear_set, 2)
    for _ in range(4):
        x = oracle.maximise(oracle.expect(x, None).statistics)
    # the images are read by interpolation, the M-step spreads: near its end it wanders by a few nats
    assert oracle.reports[-1].log_likelihood > oracle.reports[0].log_likelihood + 60


def test_statistics_of_parts_add_to_those_of_all(clear_set: PhantomSet) -> None:
    oracle, x = make(clear_set)
    parts = [oracle.expect(x, part).statistics for part in torch.arange(60).split(30)]
    whole = oracle.expect(x, None).statistics
    torch.testing.assert_close(sum(parts) / 2, whole, rtol=1e-3, atol=1e-4 * float(whole.abs().max()))


def test_mixing_shares_images_out_over_the_classes(clear_set: PhantomSet) -> None:
    """Of images so faint that each is in both classes."""
    made, x = make(clear_set, 2)
    clear = made.observations
    plain = replace(made, observations=Observations(0.1 * clear.data, 0.1 * clear.weight, clear.power))
    shares = []
    for oracle in (plain, replace(plain, class_mixing=1.0)):
        weight = oracle.expect(x, None).statistics[:, 2].sum((1, 2, 3))
        shares.append(float(weight[0] / weight.sum()))
    # until a class is given its part of every image it has what images leave to it
    assert shares[0] == pytest.approx(float(plain.reports[0].class_fractions[0]), abs=0.05)
    assert abs(shares[0] - 0.5) > 0.1
    assert shares[1] == pytest.approx(0.5, abs=0.02)


def test_a_class_without_images_is_left_as_it_is(clear_set: PhantomSet) -> None:
    oracle, x = make(clear_set, 2)
    # the second class contradicts every image
    x[1] *= -300
    field = oracle.evaluate(x, None).field
    assert oracle.reports[-1].class_fractions.tolist() == pytest.approx([1, 0], abs=1e-4)
    assert not field[1].any()
    assert field[0].any()


@pytest.mark.parametrize(("share", "moves"), [(1e-4, False), (1e-2, True)])
def test_a_class_with_hardly_any_mass_makes_no_step(
    clear_set: PhantomSet, monkeypatch: pytest.MonkeyPatch, share: float, moves: bool
) -> None:
    oracle, x = make(clear_set, 2)
    slices = 2 * oracle.poses.rotations.shape[1]

    def uneven(*_: object) -> SliceStatistics:
        weight = torch.ones(slices, len(oracle.disc))
        weight[slices // 2 :] *= share
        return SliceStatistics(weight.to(torch.complex64), weight)

    monkeypatch.setattr(grid_oracle, "slice_statistics", uneven)
    field = oracle.evaluate(x, None).field
    assert bool(field[0].any())
    assert bool(field[1].any()) == moves


def test_the_default_optimiser_averages_steps_over_mini_batches(clear_set: PhantomSet) -> None:
    """Momentum as the search has it, worked out by hand for three steps."""
    oracle, start = make(clear_set)
    method = Momentum(momentum=0.9, schedule="constant", decay=0.0)
    blocks = Blocks(Scaled(oracle, 1.0))
    x, _ = method.step(blocks, start, method.init(blocks, start), [0, 0, 0], torch.Generator())
    by_hand, velocity = start, torch.zeros_like(start)
    for kept in (0.0, 0.9, 0.9):
        velocity = kept * velocity - (1 - kept) * oracle.evaluate(by_hand, None).field
        by_hand = by_hand + velocity
    torch.testing.assert_close(x, by_hand)
