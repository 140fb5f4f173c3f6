"""Poses integrated over a neighbourhood: finite differences, the limit of one pose, the log-likelihood by hand."""

import math

import pytest
import torch
from known_pose_sets import random_problem, random_unknown

from cryorbit.fourier.interpolation import gather_slices
from cryorbit.geometry.so3_grid import neighbourhood
from cryorbit.imaging.shifts import shift_phases
from cryorbit.optim.protocols import CurvatureOracle, HessianOracle
from cryorbit.studies.toader2023.local_poses import LocalPoses, Neighbourhood
from cryorbit.volumes.fourier_ball import PAD


@pytest.fixture
def problem(generator):
    return LocalPoses.of(random_problem(generator, images=5, radius=4.0), Neighbourhood.of(12.0, 1.0))


def test_the_value_is_the_log_mean_of_likelihoods(problem, generator):
    x = random_unknown(problem.known, generator)
    images, half = problem.known.observations, problem.ball.half_transform(x)
    values = []
    for i in range(problem.num_terms):
        rotations = neighbourhood(problem.known.rotations[i], 12.0, 1)
        slices = gather_slices(half, rotations, problem.disc.frequencies, PAD)
        energies = []
        for shift in problem.around.lattice:
            moved = images.data[i] * shift_phases(shift, problem.disc)
            root = images.weight[i].sqrt()
            energies.append(0.5 * (root * slices - moved / root).abs().square().sum(1))
        likelihoods = torch.exp(-torch.stack(energies).double())
        values.append(-math.log(likelihoods.mean()))
    expected = sum(values) / len(values) + 0.5e-3 * float(x.square().sum())
    # the phases of the shifts are of length one to single precision only
    assert float(problem.evaluate(x, None).value) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("idx", [None, torch.tensor([4, 0])])
def test_gradient_and_hessian_agree_with_finite_differences(problem, idx, generator):
    assert isinstance(problem, HessianOracle)
    assert isinstance(problem, CurvatureOracle)
    x, direction = (0.3 * random_unknown(problem.known, generator) for _ in range(2))
    step = 1e-5
    after, before = (problem.evaluate(x + sign * step * direction, idx) for sign in (1, -1))
    here = problem.evaluate(x, idx)
    torch.testing.assert_close(
        (after.value - before.value) / (2 * step), (here.field * direction).sum(), rtol=1e-7, atol=0
    )
    product = problem.hessian_vector(x, direction, idx)
    differences = (after.field - before.field) / (2 * step)
    assert (product - differences).norm() < 1e-7 * product.norm()
    # the posterior is no delta, else this were the test of known poses again
    assert (product - problem.known.hessian_vector(x, direction, idx)).norm() > 0.05 * product.norm()


def test_a_neighbourhood_of_one_pose_is_the_known_pose(generator):
    known = random_problem(generator)
    single = LocalPoses.of(known, Neighbourhood(1.0, torch.zeros(1, 2, dtype=torch.float64), reach=0))
    x, direction = random_unknown(known, generator), random_unknown(known, generator)
    found, expected = single.evaluate(x, None), known.evaluate(x, None)
    torch.testing.assert_close(found.value, expected.value)
    torch.testing.assert_close(found.field, expected.field)
    torch.testing.assert_close(single.hessian_vector(x, direction, None), known.hessian_vector(x, direction, None))
    torch.testing.assert_close(single.curvature(x), known.weight_volume())
