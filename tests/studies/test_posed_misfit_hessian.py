"""The sparse Hessian of known poses: entries, minimum, gap; the minimum is the one that L-BFGS finds."""

import numpy as np
import pytest
import torch
from known_pose_sets import dense_hessian, random_problem, random_unknown
from scipy.optimize import minimize

from cryorbit.studies.toader2023.posed_misfit_hessian import assemble_hessian, find_minimum, gap


@pytest.mark.parametrize("radius", [3.0, 4.5, 7.0])
def test_the_sparse_hessian_is_the_dense_one(radius, generator):
    problem = random_problem(generator, radius=radius, images=6)
    matrix = assemble_hessian(problem)
    vector = random_unknown(problem, generator)
    torch.testing.assert_close(torch.from_numpy(matrix @ vector.numpy()), problem.hessian_vector(vector, vector, None))
    if radius < 4:
        np.testing.assert_allclose(matrix.toarray(), dense_hessian(problem).numpy(), atol=1e-12)
    torch.testing.assert_close(torch.from_numpy(matrix.diagonal()), problem.hessian_diagonal())
    assert np.diff(matrix.indptr).max() <= 27


def test_the_minimum_is_that_of_l_bfgs_and_the_gap_the_difference(generator):
    problem = random_problem(generator, images=40)
    matrix = assemble_hessian(problem)
    minimum = find_minimum(problem, matrix)
    assert problem.evaluate(minimum, None).field.abs().max() < 1e-8

    def value_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        found = problem.evaluate(torch.from_numpy(x), None)
        return float(found.value), found.field.numpy()

    options = {"maxiter": 2000, "ftol": 0, "gtol": 1e-10}
    found = minimize(value_and_gradient, np.zeros(len(minimum)), jac=True, method="L-BFGS-B", options=options)
    least = float(problem.evaluate(minimum, None).value)
    assert found.fun == pytest.approx(least, rel=1e-12)
    x = random_unknown(problem, generator)
    assert gap(matrix, x, minimum) == pytest.approx(float(problem.evaluate(x, None).value) - least, rel=1e-7)
