"""How many combinations of coefficients moments determine: counted where the answer is known."""

import torch
from torch import Tensor

from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.bessel_model import BesselModel
from cryorbit.moments.determinacy import count_determined, derivatives
from cryorbit.moments.fit import Target
from cryorbit.moments.mra import shift_moments
from cryorbit.moments.mra_fit import MRAProblem
from cryorbit.moments.ring_fit import RingProblem
from cryorbit.moments.ring_model import RingModel
from cryorbit.moments.ring_sums import RingSums
from cryorbit.moments.rings import Rings
from cryorbit.volumes.ball_bessel import ball_basis


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_combination_counts_once_its_information_exceeds_that_of_its_prior() -> None:
    jacobian = torch.diag(torch.tensor([3.0, 1.1, 0.9, 0.0])).double() @ torch.linalg.qr(draw(4, 4, seed=0))[0]
    assert count_determined(jacobian, 4, 1.0) == 2
    assert count_determined(10 * jacobian, 4, 1.0) == 3


def test_what_a_nuisance_could_explain_is_not_determined() -> None:
    # one residual, of a coefficient and a nuisance: information 16 of which 16 / (16 + prior) is explained away
    jacobian = torch.tensor([[4.0, 4.0]]).double()
    assert count_determined(jacobian, 1, 0.5) == 0
    assert count_determined(jacobian, 1, 10.0) == 1


def test_derivatives_are_those_of_reverse_mode() -> None:
    solution = draw(11, seed=1)

    def residuals(x: Tensor) -> Tensor:
        return torch.outer(x, x).flatten().sin()

    expected = torch.func.jacrev(residuals)(solution)
    torch.testing.assert_close(derivatives(residuals, solution), expected)


def test_exact_moments_of_shifts_determine_all_but_the_scale_of_logits() -> None:
    signal, density = draw(1, 6, seed=0), draw(6, seed=1).softmax(0)
    shifts = WindowedShifts.of(6, 6, signal)
    problem = MRAProblem(Target.relative(shift_moments(signal, density, shifts)), shifts)
    jacobian = derivatives(problem.residuals, torch.cat([signal[0], density.log()]))
    assert count_determined(1e8 * jacobian, 12, 1.0) == 11


def test_second_moments_of_even_views_leave_more_open_than_a_rotation() -> None:
    basis, box, orders = ball_basis(5.0, 0.25), 32, 3
    radii = torch.tensor([0.8, 1.6, 2.4, 3.2], dtype=torch.float64)
    model, rings = RingModel.of(basis, radii, box, 0, orders), Rings.of(box, radii, orders, 0.5 * box - 1)
    waves = model.waves(1000 * draw(basis.size, seed=2))[:, : orders + 1]
    noise = rings.noise(torch.ones(box // 2 + 1))
    estimate = RingSums.of(waves, torch.ones(len(waves), len(radii)).double()).estimate(noise)
    problem = RingProblem.of(model, estimate, radii, box)
    known = problem.determinacy(draw(len(problem.sizes), seed=3))
    assert known.coefficients == basis.size
    # of a volume of degree L two moments know at most the products of the degrees' coefficients
    assert known.first_and_second < known.all_moments <= basis.size - 3
    assert isinstance(problem.model.slices, BesselModel)
