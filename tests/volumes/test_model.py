"""What every model keeps to: an exact adjoint, scores that follow from slices, sums that give the unknown back."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from cryorbit.fourier.half_disc import HalfDisc, half_disc
from cryorbit.fourier.interpolation import join_mates
from cryorbit.geometry.rotations import euler_to_matrix, random_rotations
from cryorbit.imaging.slices import SliceOperator
from cryorbit.simulate.phantoms import random_blob_phantom
from cryorbit.volumes.model import ModelGrid, solve
from cryorbit.volumes.plane import PlaneGrid
from cryorbit.volumes.voxel import VoxelGrid, resample

BOX, SIZE, RADIUS = 24, 20, 8.0


def random_turns(count: int, generator: torch.Generator) -> torch.Tensor:
    """Rotations about z, float64."""
    psi = 360 * torch.rand(count, generator=generator, dtype=torch.float64)
    return euler_to_matrix(torch.stack([torch.zeros_like(psi), torch.zeros_like(psi), psi], 1))


@dataclass(frozen=True)
class Kind:
    """A kind of unknown: its geometry, how many axes it has, and poses that it may be seen in."""

    grid: ModelGrid
    axes: int
    poses: Callable[[int, torch.Generator], torch.Tensor]

    def unknown(self, classes: int, generator: torch.Generator) -> torch.Tensor:
        """Random unknowns, float64."""
        return torch.randn(classes, *(SIZE,) * self.axes, generator=generator, dtype=torch.float64)


KINDS = {
    "voxels": Kind(VoxelGrid(BOX, SIZE), 3, random_rotations),
    "plane": Kind(PlaneGrid(BOX, SIZE), 2, random_turns),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def disc() -> HalfDisc:
    return half_disc(BOX, RADIUS)


def test_backprojection_is_the_adjoint_of_slices(kind: Kind, disc: HalfDisc, generator: torch.Generator) -> None:
    operator = SliceOperator(kind.grid, disc, kind.poses(7, generator))
    unknown = kind.unknown(1, generator)[0]
    slices = torch.randn(7, len(disc), dtype=torch.complex128, generator=generator)
    left = torch.vdot(slices.flatten(), operator.project(unknown).flatten()).real
    back = operator.backproject(slices)
    assert back.shape == unknown.shape
    torch.testing.assert_close((back * unknown).sum(), left, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("dtype", "error"), [(torch.complex128, 1e-12), (torch.complex64, 1e-5)])
def test_scores_follow_from_slices(
    kind: Kind, disc: HalfDisc, dtype: torch.dtype, error: float, generator: torch.Generator
) -> None:
    """In single precision kernels run that write no slices."""
    image = torch.arange(3).repeat_interleave(10)
    klass = torch.randint(2, (30,), generator=generator)
    rotation, unknown = kind.poses(30, generator), kind.unknown(2, generator)
    data = torch.randn(3, len(disc), dtype=torch.complex128, generator=generator)
    weight = torch.rand(3, len(disc), dtype=torch.float64, generator=generator)
    phases = torch.randn(4, len(disc), dtype=torch.complex128, generator=generator).sgn()
    slices = kind.grid.model(unknown).slices(klass, rotation, disc.frequencies)
    overlap = (slices.conj()[:, None] * phases * data[image, None]).real.sum(2)
    expected = overlap - 0.5 * (weight[image] * slices.abs() ** 2).sum(1)[:, None]
    real = dtype.to_real()
    images, candidates = (data.to(dtype), weight.to(real)), (image, klass, rotation.to(real))
    found = kind.grid.model(unknown.to(real)).scores(*images, candidates, disc.frequencies, phases.to(dtype))
    assert found.dtype == real
    assert float((found - expected).abs().max()) < error * float(expected.abs().max())


@pytest.mark.parametrize("dtype", [torch.complex128, torch.complex64])
def test_adding_is_inserting_in_whole_numbers(
    kind: Kind, disc: HalfDisc, dtype: torch.dtype, generator: torch.Generator
) -> None:
    quanta = (2.0**-24, 2.0**-26)
    values = torch.randn(2, 5, len(disc), dtype=dtype, generator=generator)
    weights = torch.rand(2, 5, len(disc), dtype=values.real.dtype, generator=generator)
    poses = torch.stack([kind.poses(5, generator), kind.poses(5, generator)]).to(weights)
    counts = torch.zeros(*kind.grid.shape, 3, dtype=torch.int64)
    data, weight = values.new_zeros(kind.grid.shape), weights.new_zeros(kind.grid.shape)
    for part in zip(values, weights, poses, strict=True):
        kind.grid.add(counts, quanta, *part, disc.frequencies)
        more, heavier = kind.grid.insert(*part, disc.frequencies)
        data, weight = data + more, weight + heavier
    sums = counts.double() * torch.tensor([quanta[0], quanta[0], quanta[1]])
    for found, known in zip(sums.unbind(-1), (data.real, data.imag, weight), strict=True):
        torch.testing.assert_close(found, known.double(), rtol=1e-5, atol=1e-5)


def test_weighted_slices_give_the_unknown_back(kind: Kind, disc: HalfDisc, generator: torch.Generator) -> None:
    """Up to the error of interpolation, and without the mean: the origin of Fourier space is in no slice."""
    phantom = resample(random_blob_phantom(BOX, generator), SIZE).double()
    unknown = phantom if kind.axes == 3 else phantom.sum(0)
    operator = SliceOperator(kind.grid, disc, kind.poses(3000, generator))
    slices = operator.project(unknown)
    weights = 0.1 + torch.rand(slices.shape, generator=generator, dtype=torch.float64)
    data, weight = kind.grid.insert(weights * slices, weights, operator.rotations, disc.frequencies)
    error = solve(join_mates(data), join_mates(weight), kind.grid) - unknown
    assert (error - error.mean()).norm() < 0.05 * (unknown - unknown.mean()).norm()


def test_the_radius_is_that_of_the_slices_inserted(kind: Kind, disc: HalfDisc, generator: torch.Generator) -> None:
    """Coefficients of one shell reach the points of the grid that are no more than a cell's diagonal from it."""
    ring = disc.frequencies[disc.shells == 6]
    values = torch.ones(40, len(ring), dtype=torch.complex128)
    _, weight = kind.grid.insert(values, values.real, kind.poses(40, generator), ring)
    met = kind.grid.radius(weight)[weight > 0]
    assert 5.5 - 3**0.5 / 2 <= float(met.min()) < float(met.max()) <= 6.5 + 3**0.5 / 2
