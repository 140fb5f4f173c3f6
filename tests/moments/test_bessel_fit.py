"""Volume and density from polar moments: what a fit reaches, and what the moments determine at all."""

import torch
from torch import Tensor

from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.bessel_fit import BesselProblem
from cryorbit.moments.bessel_model import BesselModel
from cryorbit.moments.determinacy import determinacy
from cryorbit.moments.fit import Target
from cryorbit.moments.mra import shift_moments
from cryorbit.moments.mra_fit import MRAProblem
from cryorbit.moments.view_density import ViewDensity
from cryorbit.volumes.spherical_bessel import SphericalBessel

BASIS = SphericalBessel(6.5, (3, 2, 2))
RADII = torch.arange(1.0, 7.0, dtype=torch.float64)
SCALE = 2 * torch.pi / 20
MODEL = BesselModel.of(BASIS, ViewDensity.of(2, 9), RADII)


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_problem(coefficients: Tensor, density: Tensor, eta: float, eta_most: float) -> BesselProblem:
    moments = MODEL.moments(coefficients, MODEL.density.weights(density))
    target = moments.blurred(SCALE * RADII, torch.tensor(eta, dtype=torch.float64))
    return BesselProblem(MODEL, target, SCALE * RADII, eta_most)


def test_the_truth_has_no_residuals_and_is_read_back() -> None:
    coefficients, density = draw(BASIS.size, seed=0), draw(MODEL.density.size, seed=1)
    problem = make_problem(coefficients, density, 0.5, 2.0)
    unknown = torch.cat([coefficients, density, torch.tensor([0.25 / 0.75], dtype=torch.float64).log()])
    assert problem.residuals(unknown).abs().max() < 1e-12
    found = problem.read(problem.fit(unknown, 1))
    assert abs(found.eta - 0.5) < 1e-9
    torch.testing.assert_close(found.coefficients, coefficients)


def test_residuals_are_relative_errors_in_the_plane() -> None:
    coefficients, density = draw(BASIS.size, seed=0), draw(MODEL.density.size, seed=1)
    problem = make_problem(coefficients, density, 0.0, 0.0)
    half = torch.cat([0.5**0.5 * coefficients, density, torch.zeros(1).double()])
    residuals = problem.residuals(half)
    torch.testing.assert_close(residuals[6:].norm(), torch.tensor(0.5).double())
    torch.testing.assert_close(residuals[:6].norm(), torch.tensor(1 - 0.5**0.5).double())


def test_moments_are_matched_from_random_starts() -> None:
    problem = make_problem(draw(BASIS.size, seed=2), draw(MODEL.density.size, seed=3), 1.0, 3.0)
    start = problem.start(torch.Generator().manual_seed(0))
    sizes = [each.cosines.norm() for each in (problem.moments(start), problem.target)]
    assert 0.3 < float(sizes[0] / sizes[1]) < 3
    found = problem.solve(2, 400, torch.Generator().manual_seed(0))
    assert found.first_error < 0.01
    assert found.second_error < 0.01
    assert 0 < found.eta < 3


def test_exact_moments_of_shifts_determine_all_but_the_scale_of_logits() -> None:
    signal, density = draw(1, 6, seed=0), draw(6, seed=1).softmax(0)
    shifts = WindowedShifts.of(6, 6, signal)
    problem = MRAProblem(Target.relative(shift_moments(signal, density, shifts)), shifts)
    unknown = torch.cat([signal[0], density.log()])
    found = determinacy(problem.residuals, unknown, torch.ones(12).double())
    assert found.count(1e-10) == 11
    assert found.count(1e-3) == 11


def test_two_moments_at_uniform_in_plane_angles_leave_more_open_than_a_rotation() -> None:
    coefficients, density = draw(BASIS.size, seed=4), draw(MODEL.density.size, seed=5)
    problem = make_problem(coefficients, density, 0.0, 0.0)
    unknown = torch.cat([coefficients, density, torch.zeros(1).double()])
    found = determinacy(problem.residuals, unknown, torch.ones_like(unknown))
    # three rotations, and the spread of shifts that this problem has not
    assert found.count(1e-6) < len(unknown) - 4
    assert found.count(1e-2) < found.count(1e-6)
