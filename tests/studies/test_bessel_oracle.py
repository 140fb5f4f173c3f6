"""The sum over images in the spherical Bessel basis: dense formula, finite differences, and what EM promises."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cryorbit.geometry.so3_quadrature import product_rule
from cryorbit.geometry.sphere_quadrature import lebedev
from cryorbit.optim.anderson import Anderson
from cryorbit.optim.em import EM
from cryorbit.optim.minimise import Stop, minimise
from cryorbit.optim.protocols import CurvatureOracle, EMOracle, HessianOracle
from cryorbit.optim.sem_vr_statistics import SEMVRStatistics
from cryorbit.optim.svrg_quasi_newton import SVRGQuasiNewton
from cryorbit.studies.paul2024.bessel.images import draw_bessel_images
from cryorbit.studies.paul2024.bessel.oracle import KEPT_WEIGHT, BesselOracle
from cryorbit.studies.paul2024.bessel.plane_coordinates import odd_plane
from cryorbit.studies.paul2024.bessel.slices import BesselSlices
from cryorbit.volumes.spherical_bessel import SphericalBessel

BASIS, SIDE, COUNT = SphericalBessel(4.5, (2, 2, 1)), 9, 150
RULE = product_rule(lebedev(5), 6)
DENSITY = torch.softmax(0.5 * torch.randn(len(RULE), generator=torch.Generator().manual_seed(9)).double(), 0)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def transfer():
    """Three transfer functions, one with zeros, and which image has which."""
    radius = odd_plane(SIDE).norm(dim=-1).repeat(2)
    functions = torch.stack([torch.sin(0.3 + 0.5 * j * radius) for j in range(3)])
    return functions, torch.arange(COUNT) % 3


@pytest.fixture(params=[False, True], ids=["plain", "ctf"])
def problem(request):
    """Oracle, the truth, and what it was made of."""
    truth = 8 * numbers(BASIS.size, seed=1)
    drawn = draw_bessel_images(BASIS, truth, odd_plane(SIDE), COUNT, 1.0, torch.Generator().manual_seed(2))
    ctf = transfer() if request.param else None
    factors = torch.ones_like(drawn.clean) if ctf is None else ctf[0][ctf[1]]
    images = drawn.clean * factors + drawn.data - drawn.clean
    slices = BesselSlices.of(BASIS, odd_plane(SIDE), RULE.rotations)
    return BesselOracle.of(images, slices, drawn.sigma, DENSITY, ctf), truth, (images, factors, slices, drawn.sigma)


def dense_terms(x, images, factors, slices, sigma):
    """All terms of the sum, by its formula."""
    seen = slices.project(x)
    squares = (images[:, None] - factors[:, None] * seen).square().sum(-1) / (2 * sigma**2)
    return -(DENSITY.log() - squares).logsumexp(1) - images.shape[1] / 2


def test_it_is_all_kinds_of_oracle(problem):
    assert isinstance(problem[0], HessianOracle)
    assert isinstance(problem[0], CurvatureOracle)
    assert isinstance(problem[0], EMOracle)
    assert problem[0].num_terms == COUNT


def test_values_are_those_of_the_formula(problem):
    oracle, truth, made = problem
    terms = dense_terms(truth + numbers(BASIS.size), *made)
    idx = torch.tensor([3, 100, 7, 3])
    for chosen, expected in ((None, terms.mean()), (idx, terms[idx].mean())):
        found = oracle.evaluate(truth + numbers(BASIS.size), chosen)
        torch.testing.assert_close(found.value, expected, atol=1e-11, rtol=0)
        torch.testing.assert_close(oracle.expect(truth + numbers(BASIS.size), chosen).value, found.value)


def test_gradient_and_hessian_are_those_of_the_formula(problem):
    oracle, truth, made = problem
    x = (truth + numbers(BASIS.size)).requires_grad_()
    idx, vector = torch.arange(0, COUNT, 2), numbers(BASIS.size, seed=3)
    (gradient,) = torch.autograd.grad(dense_terms(x, *made)[idx].mean(), x, create_graph=True)
    (product,) = torch.autograd.grad(gradient @ vector, x)
    x = x.detach()
    torch.testing.assert_close(oracle.evaluate(x, idx).field, gradient.detach(), atol=1e-11, rtol=1e-9)
    torch.testing.assert_close(oracle.hessian_vector(x, vector, idx), product, atol=1e-10, rtol=1e-9)


def test_chunks_change_nothing(problem, monkeypatch):
    oracle, truth, _ = problem
    whole, moved = oracle.expect(truth, None), oracle.hessian_vector(truth, truth, None)
    monkeypatch.setattr("cryorbit.studies.paul2024.bessel.oracle.CHUNK_BYTES", 8 * len(RULE) * 40)
    torch.testing.assert_close(oracle.expect(truth, None).statistics, whole.statistics, atol=1e-11, rtol=0)
    torch.testing.assert_close(oracle.hessian_vector(truth, truth, None), moved, atol=1e-11, rtol=0)


def test_the_gradient_is_what_the_statistics_say(problem):
    oracle, truth, _ = problem
    x = truth + numbers(BASIS.size)
    statistics = oracle.expect(x, None).statistics
    expected = statistics[:, 1:] @ x - statistics[:, 0]
    torch.testing.assert_close(oracle.evaluate(x, None).field, expected, atol=1e-11, rtol=1e-9)


@given(seed=st.integers(0, 10**6), size=st.floats(0.1, 30))
@example(seed=266, size=28.0)  # all weight on so few poses that some of the coefficients are not seen
@settings(deadline=None, max_examples=8)
def test_em_never_raises_the_objective(seed, size):
    truth = 8 * numbers(BASIS.size, seed=1)
    drawn = draw_bessel_images(BASIS, truth, odd_plane(SIDE), 60, 0.5, torch.Generator().manual_seed(seed))
    slices = BesselSlices.of(BASIS, odd_plane(SIDE), RULE.rotations)
    oracle = BesselOracle.of(drawn.data, slices, drawn.sigma, RULE.weights)
    trace = minimise(oracle, EM(), size * numbers(BASIS.size, seed=seed), Stop(1e-14, 8), torch.Generator())
    assert (trace.values.diff() <= 1e-12).all()


def test_curvature_is_the_information_of_complete_data(problem):
    oracle, truth, made = problem
    _, factors, slices, sigma = made
    eye = torch.eye(BASIS.size, dtype=torch.float64)
    seen = slices.project(eye)
    expected = torch.einsum("g,dgq,q->d", DENSITY, seen.square(), factors.square().mean(0)) / sigma**2
    torch.testing.assert_close(oracle.curvature(truth), expected)


def test_mended_statistics_have_a_positive_normal_matrix(problem):
    oracle, truth, _ = problem
    whole = oracle.expect(truth, None).statistics
    assert oracle.admissible(whole, whole) is whole
    sizes, axes = torch.linalg.eigh(whole[:, 1:])
    bad = torch.cat([whole[:, :1], whole[:, 1:] - 1.5 * sizes[-1] * axes[:, -1:] @ axes[:, -1:].mT], 1)
    mended = oracle.admissible(bad, whole)
    ratio = torch.linalg.eigvals(torch.linalg.solve(whole[:, 1:], mended[:, 1:])).real
    torch.testing.assert_close(ratio.min(), torch.tensor(KEPT_WEIGHT, dtype=torch.float64), rtol=1e-6, atol=0)
    before = torch.linalg.eigvals(torch.linalg.solve(whole[:, 1:], bad[:, 1:])).real
    assert (before < KEPT_WEIGHT).sum() == 1
    torch.testing.assert_close(ratio.sort().values[1:], before.sort().values[1:], rtol=1e-9, atol=0)


@pytest.mark.parametrize("method", [SVRGQuasiNewton(batch_size=30), SEMVRStatistics(batch_size=30), Anderson()])
def test_all_forms_come_to_an_optimum(method):
    truth = 8 * numbers(BASIS.size, seed=1)
    drawn = draw_bessel_images(BASIS, truth, odd_plane(SIDE), 60, 1.0, torch.Generator().manual_seed(2))
    slices = BesselSlices.of(BASIS, odd_plane(SIDE), RULE.rotations)
    oracle = BesselOracle.of(drawn.data, slices, drawn.sigma, RULE.weights)
    trace = minimise(oracle, method, truth, Stop(1e-13, 2000), torch.Generator().manual_seed(0))
    assert trace.ending == "converged"
    assert oracle.evaluate(trace.x, None).field.norm() < 1e-5
    assert trace.values[-1] < trace.values[0]
    assert (trace.x - truth).norm() < 0.5 * truth.norm()


def test_snr_is_what_was_asked_for():
    truth = numbers(BASIS.size, seed=1)
    drawn = draw_bessel_images(BASIS, truth, odd_plane(SIDE), 4000, 0.34, torch.Generator().manual_seed(0))
    noise = drawn.data - drawn.clean
    assert abs(float(drawn.clean.square().sum() / noise.square().sum()) / 0.34 - 1) < 0.01
    assert abs(float(noise.square().sum()) / (4000 * SIDE**2 * drawn.sigma**2) - 1) < 0.01
