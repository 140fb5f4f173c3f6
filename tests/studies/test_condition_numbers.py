"""Conditioning: against dense eigenvalues, the statistics of probes, and counts of points."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from cryorbit.studies.toader2023.condition_numbers import (
    diagonal_bound,
    divided,
    extreme_eigenvalues,
    probe_errors,
    shell_quantiles,
    slicing_bound,
    spectral_density,
)


@pytest.fixture
def dense(rng) -> np.ndarray:
    """A symmetric matrix with eigenvalues from 1e-5 to 3, not diagonal."""
    vectors = np.linalg.qr(rng.standard_normal((60, 60)))[0]
    return vectors @ np.diag(np.geomspace(1e-5, 3.0, 60)) @ vectors.T


def test_extremes_are_those_of_the_dense_matrix(dense):
    found = extreme_eigenvalues(csr_array(dense))
    assert found.largest == pytest.approx(3.0, rel=1e-3)
    assert found.least == pytest.approx(1e-5, rel=1e-3)
    assert found.condition == pytest.approx(3e5, rel=2e-3)
    assert found.condition > diagonal_bound(torch.tensor(dense.diagonal()))


def test_a_divided_matrix_has_the_eigenvalues_of_the_preconditioned_one(dense, rng):
    diagonal = rng.uniform(0.5, 2.0, 60)
    found = np.linalg.eigvalsh(divided(csr_array(dense), torch.from_numpy(diagonal)).toarray())
    expected = np.sort(np.linalg.eigvals(dense / diagonal[:, None]).real)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("radius", [8.0, 40.0])
def test_the_bound_counts_points_and_stops_at_the_regularisation(radius):
    # a ball has 4/3 pi r^3 points and a disc pi r^2, but for their surfaces
    assert slicing_bound(radius, 0.0) == pytest.approx(4 * radius / 3, rel=0.05)
    assert slicing_bound(radius, 1.0) == pytest.approx(2 / (1 + 3 / (4 * radius)), rel=0.01)


def test_the_density_has_the_moments_of_the_spectrum(dense, generator):
    matrix = csr_array(dense)
    found = [spectral_density(matrix, 25, generator) for _ in range(400)]
    for power in (1, 2):
        moments = [float((each.weights * each.nodes**power).sum()) for each in found]
        expected = np.trace(np.linalg.matrix_power(dense, power)) / 60
        assert np.mean(moments) == pytest.approx(expected, abs=4 * np.std(moments) / math.sqrt(400))
    assert all(float(each.weights.sum()) == pytest.approx(1) for each in found)
    # as many steps as unknowns give every eigenvalue
    nodes = spectral_density(matrix, 60, generator).nodes
    np.testing.assert_allclose(nodes, np.linalg.eigvalsh(dense), atol=1e-10)


def test_probes_err_as_their_variance_says(dense, generator):
    errors = probe_errors(csr_array(dense), (1, 10, 2000), generator)
    # a single estimate of 60 entries scatters about its expected error
    torch.testing.assert_close(errors.measured, errors.expected, rtol=0.4, atol=0)
    assert errors.measured[0] > 20 * errors.measured[2]
    diagonal = probe_errors(csr_array(np.diag([1.0, 2.0])), (1, 2), generator)
    assert not diagonal.measured.any()
    assert not diagonal.expected.any()


def test_quantiles_of_shells():
    values, shells = torch.tensor([5.0, 1.0, 3.0, 2.0]), torch.tensor([0, 1, 1, 1])
    assert shell_quantiles(values, shells, (0.0, 0.5, 1.0)).tolist() == [[5.0, 1.0], [5.0, 2.0], [5.0, 3.0]]
