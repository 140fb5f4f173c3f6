"""Importance sampling of poses: unbiased, within its stated error of the full sum, and with fewer nodes."""

from dataclasses import replace

import pytest
import torch

from cryorbit.inference.full_marginal import log_evidence
from cryorbit.inference.importance import SampledOracle, both_turns
from cryorbit.inference.pose_quadrature import ShiftPrior, pose_quadrature
from cryorbit.inference.volume_oracle import VolumeOracle
from small_oracle import BOX, RADIUS, random_unknown, small_oracle


def sampled(exact: VolumeOracle, draws: int) -> SampledOracle:
    coarse = pose_quadrature(RADIUS, BOX, ShiftPrior(1.0), undersampling=3.0)
    return SampledOracle.of(exact, coarse, draws, 0)


def test_cells_share_out_the_whole_weight(generator: torch.Generator) -> None:
    oracle = sampled(small_oracle(2, generator), 10)
    cells = len(both_turns(oracle.coarse.quadrature))
    assert len(oracle.cell) == len(both_turns(oracle.exact.model.quadrature)) > 2 * cells
    total = torch.zeros(cells, dtype=torch.float64).index_add_(0, oracle.cell, oracle.share)
    torch.testing.assert_close(total[total > 0], torch.ones(int((total > 0).sum()), dtype=torch.float64))
    proposal = oracle._proposal(torch.rand(3, cells, generator=generator, dtype=torch.float64))
    assert bool((total > 0).all())
    torch.testing.assert_close(proposal.sum(1), torch.ones(3, dtype=torch.float64))
    assert float(proposal.min()) > 0


def test_proposals_are_the_tempered_coarse_posterior_shared_out_and_a_uniform_part(generator: torch.Generator) -> None:
    oracle = sampled(small_oracle(2, generator), 10)
    coarse = torch.rand(3, len(both_turns(oracle.coarse.quadrature)), generator=generator, dtype=torch.float64)
    for temperature in (1.0, 2.0):
        proposal = replace(oracle, explore=0.0, temperature=temperature)._proposal(coarse)
        cells = torch.zeros_like(coarse).index_add_(1, oracle.cell, proposal)
        tempered = coarse ** (1 / temperature)
        torch.testing.assert_close(cells, tempered / tempered.sum(1, keepdim=True))
        # within a cell by the weights of its nodes
        torch.testing.assert_close(proposal, cells[:, oracle.cell] * oracle.share)
    uniform = replace(oracle, explore=1.0)._proposal(coarse)
    weights = oracle.exact.model.quadrature.log_weight.exp().repeat(2)
    torch.testing.assert_close(uniform, weights.expand(3, -1))
    mixed = (replace(oracle, explore=part)._proposal(coarse) for part in (0.0, 1.0, 0.05))
    none, whole, little = mixed
    torch.testing.assert_close(little, 0.95 * none + 0.05 * whole)
    assert (oracle.explore, oracle.temperature) == (0.05, 2.0)


def test_likelihoods_have_no_bias(generator: torch.Generator) -> None:
    exact = small_oracle(4, generator)
    x = 0.15 * random_unknown(exact, generator)
    truth = log_evidence(exact.observations, exact.model.nodes(x))
    oracle = sampled(exact, 20)
    offsets = torch.rand(60, 4, generator=generator, dtype=torch.float64)
    found = [replace(oracle, offset=offset).estimate(x, None) for offset in offsets]
    ratio = (torch.stack([each.log_evidence for each in found]) - truth).exp()
    error = ratio.std(0) / 60**0.5
    assert ((ratio.mean(0) - 1).abs() < 4 * error).all()
    assert float(ratio.std(0).max()) > 0.01


def test_the_stated_error_is_that_of_independent_draws(generator: torch.Generator) -> None:
    """Draws are systematic, and do better, but not by far."""
    exact = small_oracle(3, generator)
    x = 0.15 * random_unknown(exact, generator)
    oracle = sampled(exact, 200)
    offsets = torch.rand(30, 3, generator=generator, dtype=torch.float64)
    found = [replace(oracle, offset=offset).estimate(x, None) for offset in offsets]
    scatter = torch.stack([each.log_evidence for each in found]).std(0)
    told = torch.stack([each.error for each in found]).mean(0)
    assert (scatter < told).all()
    assert (told < 3 * scatter).all()


def test_draws_that_weigh_the_same_leave_no_error(generator: torch.Generator) -> None:
    """Without a density all nodes explain an image alike; drawn by their weights, each draw stands for as much."""
    exact = small_oracle(3, generator)
    oracle = replace(sampled(exact, 50), explore=1.0)
    found = oracle.estimate(torch.zeros_like(random_unknown(exact, generator)), None)
    assert float(found.error.max()) < 0.01 * 50**-0.5


def test_values_and_gradients_are_those_of_the_full_sum_within_the_error(generator: torch.Generator) -> None:
    exact = small_oracle(12, generator)
    x, idx = 0.15 * random_unknown(exact, generator), torch.tensor([0, 3, 4, 8, 11])
    oracle = sampled(exact, 600)
    found, full = oracle.estimate(x, idx), exact.evaluate(x, idx)
    error = float(found.error.square().sum().sqrt()) / len(idx)
    assert 0 < error < 0.1
    value = oracle.evaluate(x, idx)
    assert abs(float(value.value - full.value)) < 4 * error
    assert float((value.field - full.field).norm() / full.field.norm()) < 0.1


def test_more_draws_come_nearer(generator: torch.Generator) -> None:
    exact = small_oracle(6, generator)
    x = 0.15 * random_unknown(exact, generator)
    full = exact.evaluate(x, None).field
    gaps = [float((sampled(exact, draws).evaluate(x, None).field - full).norm()) for draws in (10, 3000)]
    assert gaps[1] < 0.2 * gaps[0]


def test_the_same_draws_are_made_for_the_same_images(generator: torch.Generator) -> None:
    exact = small_oracle(6, generator)
    x = random_unknown(exact, generator)
    oracle = sampled(exact, 15)
    whole, part = oracle.estimate(x, None), oracle.estimate(x, torch.tensor([4, 1]))
    torch.testing.assert_close(part.log_evidence, whole.log_evidence[[4, 1]], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("draws", [10, 40])
def test_nodes_are_counted(generator: torch.Generator, draws: int) -> None:
    exact = small_oracle(3, generator)
    oracle = replace(sampled(exact, draws), temperature=1.0)
    found = oracle.estimate(random_unknown(exact, generator), None)
    shifts = len(exact.model.quadrature.shifts)
    assert found.nodes == pytest.approx(oracle.coarse.quadrature.count + len(found.image) * shifts / 3)
    assert len(found.image) <= 3 * draws
    assert found.nodes < exact.model.quadrature.count
