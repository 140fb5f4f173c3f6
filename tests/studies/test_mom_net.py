"""MoM-net: moments of its volume, Hermitian symmetry, gradients, examples, and training that goes on after a stop."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.geometry.sphere_quadrature import SphereRule, lebedev, spherical_design
from cryorbit.moments.bessel_model import BesselModel
from cryorbit.moments.learner import Learner
from cryorbit.moments.polar import PolarMoments
from cryorbit.moments.training import Schedule
from cryorbit.moments.view_density import ViewDensity
from cryorbit.studies.paul2024.mom_net.image_encoders import Encoded, fields_of
from cryorbit.studies.paul2024.mom_net.image_examples import WIDTH, ImageFamily, atoms_in_harmonics
from cryorbit.studies.paul2024.mom_net.kam_loss import (
    polar_errors,
    polar_kam_loss,
    polar_weighted_loss,
    weigh_for_plane,
)
from cryorbit.studies.paul2024.mom_net.network import MomNet, Setting, make_mom_net, root_power
from cryorbit.studies.paul2024.mom_net.polar_slices import PolarSlices
from cryorbit.studies.paul2024.mom_net.training import STEEPEST, held_out_losses, make_image_encoder, match, supervise
from cryorbit.volumes.spherical_bessel import SphericalBessel

BASIS = SphericalBessel(5.5, (3, 2, 2))
RADII = torch.arange(1.0, 6.0, dtype=torch.float64)
ORDERS, BOX, ETA_MOST = 4, 16, 1.5


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_setting(basis: SphericalBessel | None = BASIS, eta_most: float = ETA_MOST) -> Setting:
    return Setting.of(PolarSlices.of(lebedev(7), RADII, ORDERS), basis, BOX, eta_most)


def make_network(setting: Setting, seed: int = 0) -> MomNet:
    """A network whose refinement is not zero; float64."""
    network = make_mom_net(setting, seed).double()
    with torch.no_grad():
        network.refinement.modulant.last.weight.copy_(1e-2 * draw(2, 256, seed=seed))
    return network


@pytest.fixture(scope="module")
def moments() -> PolarMoments:
    family = ImageFamily.of(RADII, ORDERS, BOX, ETA_MOST)
    return family.draw(2, 6, torch.Generator().manual_seed(5)).moments.map(Tensor.double)


def test_slices_on_opposite_nodes_are_not_evaluated_and_not_missed() -> None:
    density = ViewDensity.of(2, 7)
    coefficients, weights = draw(BASIS.size, seed=0), density.weights(draw(density.size, seed=1))
    expected = BesselModel.of(BASIS, density, RADII).moments(coefficients, weights)
    setting = make_setting()
    slices = setting.slices
    which = (slices.directions[:, None] - density.directions).norm(dim=-1).argmin(1)
    components = torch.einsum("c,cqwk->qwk", coefficients, setting.table)
    assert len(slices.points) == len(density.directions) // 2
    found = slices.moments(components, weights[which])
    torch.testing.assert_close(found.first, expected.first)
    torch.testing.assert_close(found.cosines[:3], expected.cosines)
    torch.testing.assert_close(found.sines[:3], expected.sines)
    assert found.cosines[3:].abs().max() < 1e-12
    values = BASIS.evaluate(coefficients, slices.points.flatten(0, 2)).unflatten(0, slices.points.shape[:3])
    torch.testing.assert_close(slices.components(values), components)


def test_nodes_without_opposites_are_refused() -> None:
    rule = lebedev(5)
    half = SphereRule(rule.directions[rule.directions[:, 2] > 0], rule.weights[rule.directions[:, 2] > 0], 1)
    with pytest.raises(InputError, match="opposite pairs"):
        PolarSlices.of(half, RADII, 2)
    assert len(PolarSlices.of(spherical_design(20, 3), RADII, 2).points) == 10


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99))
def test_losses_are_norms_of_functions_on_the_plane(seed: int) -> None:
    first, cosines, sines = draw(5, seed=seed), draw(3, 5, 5, seed=seed + 1), draw(3, 5, 5, seed=seed + 2)
    given_ = PolarMoments(first, cosines + cosines.mT, (sines - sines.mT) * torch.tensor([0, 1.0, 1.0])[:, None, None])
    angle = torch.arange(16).double() * (2 * torch.pi / 16)
    phases = torch.arange(3).double()[:, None] * angle
    values = sum(
        torch.einsum("nkl,na->akl", part, wave(phases))
        for part, wave in ((given_.cosines, torch.cos), (given_.sines, torch.sin))
    )
    plane = weigh_for_plane(given_, RADII)
    power = (values.square().mean(0) * RADII[:, None] * RADII).sum().sqrt()
    torch.testing.assert_close(plane.second.norm(), power)
    torch.testing.assert_close(plane.first.norm(), (RADII * first.square()).sum().sqrt())
    twice = given_.map(lambda each: 2 * each)
    errors = polar_errors(twice, given_, RADII)
    torch.testing.assert_close(torch.stack(errors), torch.ones(2).double())
    torch.testing.assert_close(polar_kam_loss(twice, given_, RADII), torch.tensor(2.0).double())
    weighted = polar_weighted_loss(twice, given_, RADII, 0.5)
    torch.testing.assert_close(weighted, plane.first.norm() + 0.5 * power)


def test_atoms_in_harmonics_are_their_plane_waves() -> None:
    family = ImageFamily.of(RADII, 14, BOX, 0.0)
    positions, heights = 0.1 * draw(1, 4, 3, seed=3), draw(1, 4, seed=4).abs()
    points = family.slices.points[2]
    falling = torch.exp(-2 * (math.pi * WIDTH) ** 2 * points.square().sum(-1))
    phases = torch.exp(-2j * math.pi * torch.einsum("akc,nc->nak", points, positions[0]))
    values = falling * torch.einsum("n,nak->ak", heights[0].to(phases.dtype), phases)
    transform = atoms_in_harmonics(positions, heights, RADII, 16)
    found = torch.einsum("hk,hqw->qwk", transform[0], family.waves)[2]
    torch.testing.assert_close(found, family.slices.components(values[None])[0], rtol=1e-6, atol=1e-6)


def test_examples_are_moments_of_images(moments: PolarMoments) -> None:
    family = ImageFamily.of(RADII, ORDERS, BOX, ETA_MOST)
    again = family.draw(2, 6, torch.Generator().manual_seed(5))
    assert torch.equal(again.moments.cosines.double(), moments.cosines)
    assert (again.etas >= 0).all()
    assert (again.etas <= ETA_MOST).all()
    torch.testing.assert_close(moments.cosines, moments.cosines.mT)
    torch.testing.assert_close(moments.sines, -moments.sines.mT)
    # a second moment less the square of the first has no negative power
    variance = moments.cosines[:, 0].diagonal(dim1=1, dim2=2) - moments.first.square()
    assert variance.min() > 0


def test_outputs_follow_the_scale_of_the_images(moments: PolarMoments) -> None:
    setting = make_setting()
    encoder = make_image_encoder(setting, 1).double()
    scaled = PolarMoments(3 * moments.first, 9 * moments.cosines, 9 * moments.sines)
    for one, other in zip(fields_of(moments)[:2], fields_of(scaled)[:2], strict=True):
        torch.testing.assert_close(one, other)
    plain, larger = encoder(moments), encoder(scaled)
    torch.testing.assert_close(larger.logits, plain.logits)
    torch.testing.assert_close(setting.bessel_components(larger), 3 * setting.bessel_components(plain))
    weights = setting.weights(plain.logits)
    torch.testing.assert_close(weights.sum(1), torch.ones(2).double())
    assert weights.min() > 0
    etas = setting.eta(plain.spread)
    assert (etas > 0).all()
    assert (etas < ETA_MOST).all()


@pytest.mark.parametrize("basis", [BASIS, None], ids=["MoM-net", "chapter 2"])
def test_volumes_are_hermitian_and_have_the_moments_that_are_told(
    basis: SphericalBessel | None, moments: PolarMoments
) -> None:
    setting = make_setting(basis, ETA_MOST if basis else 0.0)
    network, one = make_network(setting), moments.map(lambda each: each[:1])
    points = torch.cartesian_prod(*[torch.arange(-2.0, 3.0, dtype=torch.float64)] * 3)
    values = network.transform(one, points)
    assert torch.equal(network.transform(one, -points), values.conj())
    assert values.abs().max() > 1e-3 * root_power(one).max()
    on_slices = network.transform(one, setting.slices.points.flatten(0, 2)).unflatten(
        0, setting.slices.points.shape[:3]
    )
    encoded = network.encoder(one)
    expected = setting.moments(setting.slices.components(on_slices)[None], encoded)
    found = network(one)
    torch.testing.assert_close(found.cosines, expected.cosines)
    torch.testing.assert_close(found.sines, expected.sines)


def test_networks_begin_without_refinement(moments: PolarMoments) -> None:
    setting = make_setting()
    network, one = make_mom_net(setting, 0).double(), moments.map(lambda each: each[:1])
    encoded = network.encoder(one)
    expected = setting.moments(setting.bessel_components(encoded), encoded)
    torch.testing.assert_close(network(one).cosines, expected.cosines)
    assert torch.equal(make_mom_net(setting, 0).encoder.last.weight, make_image_encoder(setting, 0).last.weight)


def test_gradients_against_finite_differences(moments: PolarMoments) -> None:
    setting, one = make_setting(), moments.map(lambda each: each[:1])

    def loss(logits: Tensor, coefficients: Tensor, spread: Tensor, real: Tensor) -> Tensor:
        encoded = Encoded(logits, coefficients, spread, torch.ones(1).double())
        values = torch.complex(real, real.flip(0))
        components = setting.bessel_components(encoded) + setting.slices.components(values)
        return polar_kam_loss(setting.moments(components, encoded), one, RADII)

    sizes = [(1, len(setting.slices.directions)), (1, BASIS.size), (1,), setting.slices.points.shape[:3]]
    inputs = [draw(*size, seed=number).requires_grad_() for number, size in enumerate(sizes)]
    assert torch.autograd.gradcheck(loss, inputs, fast_mode=True)


def test_supervised_training_lowers_the_loss_of_data_sets_it_has_not_seen() -> None:
    setting = Setting.of(PolarSlices.of(lebedev(5), RADII.float(), ORDERS), BASIS, BOX, ETA_MOST)
    family = ImageFamily.of(RADII.float(), ORDERS, BOX, ETA_MOST)
    schedule = Schedule(6, 60, 8, 2e-3)
    learner = Learner.begin(make_image_encoder(setting, 0), STEEPEST)
    before, _ = held_out_losses(learner.network, setting, family, schedule, 20)
    while learner.step < schedule.steps:
        supervise(learner, setting, family, schedule)
    after, spread = held_out_losses(learner.network, setting, family, schedule, 20)
    assert after < 0.5 * before
    assert spread < ETA_MOST


@pytest.mark.parametrize("phase", ["supervised", "one data set"])
def test_interrupted_learning_ends_with_the_same_weights(phase: str, moments: PolarMoments) -> None:
    setting = Setting.of(PolarSlices.of(lebedev(3), RADII.float(), ORDERS), BASIS, BOX, ETA_MOST)
    family, schedule = ImageFamily.of(RADII.float(), ORDERS, BOX, ETA_MOST), Schedule(4, 4, 2)
    one = moments.map(lambda each: each[:1].float())

    def begin() -> Learner:
        make = make_image_encoder if phase == "supervised" else make_mom_net
        return Learner.begin(make(setting, 0), STEEPEST)

    def advance(learner: Learner, until: int) -> Learner:
        while learner.step < until:
            if phase == "supervised":
                supervise(learner, setting, family, schedule)
            else:
                match(learner, one, schedule)
        return learner

    straight, first, second = begin(), begin(), begin()
    advance(straight, 4)
    second.restore(advance(first, 2).record())
    advance(second, 4)
    for each, other in zip(straight.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(each, other)


def test_networks_match_the_moments_of_one_data_set(moments: PolarMoments) -> None:
    setting = Setting.of(PolarSlices.of(lebedev(5), RADII.float(), ORDERS), BASIS, BOX, ETA_MOST)
    learner, one = Learner.begin(make_mom_net(setting, 0), STEEPEST), moments.map(lambda each: each[:1].float())
    losses = [match(learner, one, Schedule(1, 60, 1, 1e-3)) for _ in range(60)]
    assert losses[-1] < 0.3 * losses[0]
