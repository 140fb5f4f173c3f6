"""The sum over images of unknown pose: its value pose by pose, derivatives, blocks of images, EM and its scale."""

import math

import pytest
import torch

from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.slices import SliceOperator
from cryorbit.inference import full_marginal
from cryorbit.inference.marginal import SliceStatistics, pose_posterior
from cryorbit.inference.pose_quadrature import PoseQuadrature
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.protocols import CurvatureOracle, EMOracle, HessianOracle
from cryorbit.volumes.voxel import quotient
from small_oracle import random_unknown, small_oracle

HALF_TURN = torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)[:, None]


def all_poses(quadrature: PoseQuadrature) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotations with their half turns, and logarithms of their weights."""
    rotations = torch.cat([quadrature.rotations, quadrature.rotations * HALF_TURN])
    return rotations, quadrature.log_weight.repeat(2)


def test_the_value_is_the_sum_over_poses_written_out(generator: torch.Generator) -> None:
    oracle = small_oracle(3, generator)
    x = random_unknown(oracle, generator)
    rotations, log_weight = all_poses(oracle.model.quadrature)
    slices = SliceOperator(oracle.model.operator.grid, oracle.model.operator.disc, rotations).project(
        oracle.model.density(x)
    )
    phases = shift_phases(oracle.model.quadrature.shifts, oracle.model.operator.disc)
    expected = 0.0
    for data, weight in zip(oracle.observations.data, oracle.observations.weight, strict=True):
        fit = (slices.conj()[:, None] * phases * data).real.sum(-1)
        power = 0.5 * (weight * slices.abs() ** 2).sum(-1)
        joint = fit - power[:, None] + log_weight[:, None] + oracle.model.quadrature.log_shift_weight
        expected -= float(joint.logsumexp((0, 1))) / 3
    voxels = (16 / oracle.model.operator.grid.size) ** 3
    expected += voxels / 3 * float(oracle.model.prior.energy(oracle.model.density(x)))
    assert float(oracle.value(x)) == pytest.approx(expected, rel=1e-6)
    assert float(oracle.evaluate(x, None).value) == pytest.approx(float(oracle.value(x)), rel=1e-12)


@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_the_gradient_is_the_derivative_of_the_value(generator: torch.Generator, sigma: float) -> None:
    oracle, idx = small_oracle(6, generator, sigma), torch.tensor([1, 2, 5])
    x, direction = random_unknown(oracle, generator), random_unknown(oracle, generator)
    step = 1e-6
    slope = (oracle.value(x + step * direction, idx) - oracle.value(x - step * direction, idx)) / (2 * step)
    torch.testing.assert_close((oracle.evaluate(x, idx).field * direction).sum(), slope, rtol=1e-6, atol=0)


@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_hessian_products_are_derivatives_of_the_gradient(generator: torch.Generator, sigma: float) -> None:
    oracle, idx = small_oracle(6, generator, sigma), torch.tensor([0, 2, 3, 5])
    x, direction = random_unknown(oracle, generator), random_unknown(oracle, generator)
    step = 1e-5
    ends = [oracle.evaluate(x + sign * step * direction, idx).field for sign in (1, -1)]
    product = oracle.hessian_vector(x, direction, idx)
    torch.testing.assert_close(
        product, (ends[0] - ends[1]) / (2 * step), rtol=0, atol=1e-7 * float(product.abs().max())
    )


def test_blocks_of_images_do_not_change_the_sum(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = small_oracle(7, generator)
    x = random_unknown(oracle, generator)
    whole, product = oracle.evaluate(x, None), oracle.hessian_vector(x, x, None)
    monkeypatch.setattr(full_marginal, "BUDGET_BYTES", 1)
    parts = oracle.evaluate(x, None)
    torch.testing.assert_close(parts.value, whole.value)
    torch.testing.assert_close(parts.field, whole.field)
    torch.testing.assert_close(oracle.hessian_vector(x, x, None), product)


def test_it_agrees_with_the_pruned_e_step(generator: torch.Generator) -> None:
    oracle = small_oracle(5, generator)
    x = random_unknown(oracle, generator)
    rotations, log_weight = all_poses(oracle.model.quadrature)
    slices = SliceOperator(oracle.model.operator.grid, oracle.model.operator.disc, rotations).project(
        oracle.model.density(x)
    )
    phases = shift_phases(oracle.model.quadrature.shifts, oracle.model.operator.disc).to(slices)
    half, even = (
        len(slices) // 2,
        oracle.model.quadrature.log_shift_weight.new_full((len(phases),), -math.log(len(phases))),
    )
    nodes = full_marginal.Nodes(slices[:half], phases, oracle.model.quadrature.log_weight, even)
    found = full_marginal.log_evidence(oracle.observations, nodes)
    by_view = log_weight.unflatten(0, (2, half)).mT.flatten() - math.log(len(phases))
    pruned = pose_posterior(oracle.observations, slices[:half], phases, by_view)
    # what is pruned there is less than exp(-10) a pose
    torch.testing.assert_close(pruned.log_evidence, found, rtol=0, atol=1e-3)


def test_the_largest_curvature_is_one(generator: torch.Generator) -> None:
    oracle = small_oracle(400, generator, 0.0)
    # with no signal the posterior is flat: the expected curvature is the Hessian plus a covariance
    x = torch.zeros(1, *(oracle.model.operator.grid.size,) * 3, dtype=torch.float64)
    vector = random_unknown(oracle, generator)
    mean_weight = oracle.observations.weight.mean(0)
    spread = 2 * oracle.model.quadrature.log_weight.exp()[:, None] * mean_weight
    for _ in range(30):
        vector = vector / vector.norm()
        slices = oracle.model.operator.project(oracle.model.density(vector))
        image = oracle.model.operator.backproject(spread * slices)[None] * oracle.model.scale
        largest, vector = float((vector * image).sum()), image
    assert 0.5 < largest <= 1
    torch.testing.assert_close(oracle.curvature(x), torch.ones_like(x))


def test_it_offers_everything_that_methods_ask_for(generator: torch.Generator) -> None:
    oracle = small_oracle(2, generator)
    assert isinstance(oracle, HessianOracle)
    assert isinstance(oracle, CurvatureOracle)
    assert isinstance(oracle, EMOracle)


def test_a_step_of_em_raises_the_likelihood(generator: torch.Generator) -> None:
    oracle = small_oracle(40, generator)
    blocks = Blocks(oracle)
    x = 0.2 * random_unknown(oracle, generator)
    values = []
    for _ in range(4):
        found = blocks.expect(x)
        values.append(float(oracle.negative_log_likelihood(x)))
        x = blocks.maximise(found.statistics)
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] - 0.1


def test_mended_statistics_keep_part_of_the_weights(generator: torch.Generator) -> None:
    oracle = small_oracle(6, generator)
    whole = oracle.expect(0.2 * random_unknown(oracle, generator), None).statistics
    assert torch.equal(oracle.admissible(whole, whole), whole)
    broken = whole.clone()
    lost = torch.rand(whole[2].shape, generator=generator) < 0.3
    broken[2] -= 1.5 * whole[2] * lost
    mended = oracle.admissible(broken, whole)
    assert torch.equal(mended[:2], whole[:2])
    torch.testing.assert_close(mended[2], torch.where(lost, 1e-3 * whole[2], whole[2]))


def test_an_m_step_adds_a_thousandth_of_the_mean_weight(generator: torch.Generator) -> None:
    """With the same weight everywhere the density is that of the data, and a thousandth less."""
    model = small_oracle(2, generator).model
    grid = model.operator.grid
    density = torch.randn((grid.size,) * 3, generator=generator, dtype=torch.float64)
    data = 3 * quotient(density, grid)
    weight = torch.full(data.shape, 3.0, dtype=torch.float64)
    for sums in (data, weight):
        # the plane x = 0 is joined with its mates
        sums[..., 0] *= 0.5
    found = model.density(model.solve(torch.stack([data.real, data.imag, weight])))
    torch.testing.assert_close(found, density / 1.001, rtol=1e-9, atol=1e-9)


def test_an_unknown_is_its_density_in_units_of_the_scale(generator: torch.Generator) -> None:
    oracle = small_oracle(3, generator)
    x = random_unknown(oracle, generator)
    assert oracle.model.scale != 1
    torch.testing.assert_close(oracle.model.density(x), oracle.model.scale * x[0])
    torch.testing.assert_close(oracle.model.unknown(oracle.model.density(x)), x)


def test_a_slice_counts_that_has_one_coefficient(generator: torch.Generator) -> None:
    """Rotations without any are left out; one number, in the imaginary part, is enough not to be."""
    model = small_oracle(2, generator).model
    operator = model.operator
    slices = torch.zeros(len(operator.rotations), len(operator.disc), dtype=torch.complex128)
    slices[3, 5], slices[7] = 2j, 1 + 1j
    torch.testing.assert_close(model.backproject(slices), operator.backproject(slices)[None] * model.scale)
    weight = slices.abs()
    whole = operator.grid.insert(slices, weight, operator.rotations, operator.disc.frequencies)
    found = model.insert(SliceStatistics(slices, weight))
    torch.testing.assert_close(torch.complex(found[0], found[1]), whole[0])
    torch.testing.assert_close(found[2], whole[1])
    assert float(model.backproject(slices).norm()) > 0


def test_held_out_images_share_unknown_and_prior(generator: torch.Generator) -> None:
    oracle, other = small_oracle(4, generator), small_oracle(2, generator)
    held = oracle.with_images(other.observations)
    x = random_unknown(oracle, generator)
    assert held.num_terms == 2
    share = float(held.value(x) - held.negative_log_likelihood(x))
    assert share == pytest.approx(float(oracle.value(x) - oracle.negative_log_likelihood(x)), rel=1e-9)
