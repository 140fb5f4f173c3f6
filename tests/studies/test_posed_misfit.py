"""The misfit in known poses: against a direct sum, finite differences, the dense Hessian, and between precisions."""

import pytest
import torch
from known_pose_sets import dense_hessian, random_problem, random_unknown

from cryorbit.fourier.interpolation import gather_slices
from cryorbit.optim.protocols import CurvatureOracle, HessianOracle
from cryorbit.studies.toader2023 import posed_misfit
from cryorbit.volumes.fourier_ball import PAD


def test_the_value_is_the_misfit_over_the_whole_plane(generator):
    problem = random_problem(generator)
    x = random_unknown(problem, generator)
    seen = problem.observations
    slices = gather_slices(problem.ball.half_transform(x), problem.rotations, problem.disc.frequencies, PAD)
    # |sqrt(weight) Y - data / sqrt(weight)|^2 is twice the misfit of a coefficient and its mate
    misfit = 0.5 * (seen.weight.sqrt() * slices - seen.data / seen.weight.sqrt()).abs().square().sum(1)
    for idx in (None, torch.tensor([3, 1, 7])):
        expected = misfit.mean() if idx is None else misfit[idx].mean()
        expected = expected + 0.5e-3 * x.square().sum()
        # the phases of the shifts are of length one to single precision only
        torch.testing.assert_close(problem.evaluate(x, idx).value, expected, rtol=1e-8, atol=0)


@pytest.mark.parametrize("idx", [None, torch.tensor([4, 0, 9])])
def test_gradient_and_hessian_agree_with_finite_differences(idx, generator):
    problem = random_problem(generator)
    x, direction = random_unknown(problem, generator), random_unknown(problem, generator)
    after, before = (problem.evaluate(x + step * direction, idx) for step in (1e-3, -1e-3))
    slope = (problem.evaluate(x, idx).field * direction).sum()
    # exact but for rounding, as the sum is quadratic
    torch.testing.assert_close((after.value - before.value) / 2e-3, slope, rtol=1e-9, atol=0)
    product = problem.hessian_vector(x, direction, idx)
    torch.testing.assert_close((after.field - before.field) / 2e-3, product, rtol=1e-8, atol=1e-10)


def test_the_diagonal_is_exact_and_the_weight_volume_above_the_hessian(generator):
    problem = random_problem(generator, radius=4.0)
    matrix = dense_hessian(problem)
    torch.testing.assert_close(matrix, matrix.mT)
    torch.testing.assert_close(problem.hessian_diagonal(), matrix.diagonal())
    weights = problem.weight_volume()
    torch.testing.assert_close(problem.curvature(random_unknown(problem, generator)), weights)
    assert torch.linalg.eigvalsh(torch.diag(weights) - matrix).min() > -1e-12
    # the regularisation is the only curvature of what no image sees
    assert matrix.diagonal().min() >= 1e-3


def test_chunks_change_nothing(generator, monkeypatch):
    problem = random_problem(generator)
    x = random_unknown(problem, generator)
    whole = problem.evaluate(x, None)
    monkeypatch.setattr(posed_misfit, "CHUNK_BYTES", 1)
    parts = problem.evaluate(x, None)
    torch.testing.assert_close(parts.value, whole.value)
    torch.testing.assert_close(parts.field, whole.field)


def test_single_precision_and_its_kernels_agree_with_double(generator):
    problem = random_problem(torch.Generator().manual_seed(3))
    single = random_problem(torch.Generator().manual_seed(3), dtype=torch.float32)
    assert isinstance(single, HessianOracle)
    assert isinstance(single, CurvatureOracle)
    x = random_unknown(problem, generator)
    exact, found = problem.evaluate(x, None), single.evaluate(x.float(), None)
    assert found.value.dtype == torch.float64
    assert found.field.dtype == torch.float32
    torch.testing.assert_close(found.value, exact.value, rtol=1e-6, atol=0)
    assert (found.field - exact.field).norm() < 1e-6 * exact.field.norm()
    for name in ("weight_volume", "hessian_diagonal"):
        one, other = getattr(single, name)(), getattr(problem, name)()
        assert (one - other).norm() < 1e-6 * other.norm()
