"""Scores of candidate poses: the kernel equals the reference in double precision, at all sizes and in any order."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from places import IMPLEMENTATIONS, KERNELS, implementation

from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.rotations import random_rotations
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.kernels.pose_scores import LONGEST_RUN, score_torch
from cryorbit.kernels.table import POSE_SCORES
from cryorbit.kernels.trilinear import BLOCK
from cryorbit.volumes.voxel import PAD, VoxelModel, synthesize, working_grid

BOX = 48


@dataclass(frozen=True)
class Problem:
    """Arguments of ``VoxelModel.scores`` and the scale that errors of single precision have."""

    observations: Observations
    candidates: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    volumes: torch.Tensor
    frequencies: torch.Tensor
    phases: torch.Tensor

    def score(self) -> torch.Tensor:
        """Scores by the implementation that is chosen for them."""
        o = self.observations
        return VoxelModel(self.volumes).scores(o.data, o.weight, self.candidates, self.frequencies, self.phases)

    def score_by(self, kernel: Callable[..., torch.Tensor] | str) -> torch.Tensor:
        """Scores by one of the implementations, or the one of a name."""
        kernel, o = implementation(POSE_SCORES, kernel) if isinstance(kernel, str) else kernel, self.observations
        return kernel(o.data, o.weight, self.candidates, self.volumes, self.frequencies, PAD, self.phases)

    def double(self) -> "Problem":
        """The same in double precision."""
        o, (image, klass, rotation) = self.observations, self.candidates
        return Problem(
            Observations(o.data.cdouble(), o.weight.double(), o.power.double()),
            (image, klass, rotation.double()),
            self.volumes.cdouble(),
            self.frequencies.double(),
            self.phases.cdouble(),
        )


def draw(counts: list[int], classes: int, shifts: int, radius: float, seed: int = 3) -> Problem:
    """Random images, volumes and candidates; ``counts`` are the candidates of each image."""
    generator = torch.Generator().manual_seed(seed)
    disc, grid = half_disc(BOX, radius), working_grid(BOX, radius)
    spectra = synthesize(torch.randn(classes, *(grid.size,) * 3, generator=generator), grid)
    shape = (len(counts), len(disc))
    observations = Observations(
        torch.randn(shape, dtype=torch.complex64, generator=generator),
        torch.rand(shape, generator=generator),
        torch.rand(shape, generator=generator),
    )
    image = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    klass = torch.randint(classes, (len(image),), generator=generator)
    rotations = random_rotations(len(image), generator).float()
    phases = shift_phases(3 * torch.randn(shifts, 2, generator=generator), disc)
    return Problem(observations, (image, klass, rotations), spectra, disc.frequencies, phases)


def assert_close_to(found: torch.Tensor, exact: torch.Tensor) -> None:
    """Within what single precision leaves of sums whose terms have this size."""
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() <= 2e-6 * exact.abs().max()


@pytest.mark.parametrize("place", IMPLEMENTATIONS)
@settings(deadline=None, max_examples=30)
@given(
    counts=st.lists(st.integers(0, 2 * LONGEST_RUN + 2), min_size=1, max_size=5).filter(any),
    classes=st.integers(1, 3),
    shifts=st.integers(1, 22),
    radius=st.floats(2.0, 14.0),
)
def test_kernel_equals_the_reference_in_double_precision(
    place: str, counts: list[int], classes: int, shifts: int, radius: float
) -> None:
    problem = draw(counts, classes, shifts, radius)
    assert_close_to(problem.score_by(place), problem.double().score_by(score_torch))


def test_the_model_has_the_scores_of_the_kernel_of_its_place() -> None:
    problem = draw([9, 40, 3], 2, 5, 10.0)
    assert torch.equal(problem.score(), problem.score_by("cpu"))


@pytest.mark.parametrize("place", KERNELS)
@pytest.mark.parametrize("shifts", [1, 9, 65, 130])
def test_any_number_of_shifts_is_scored(place: str, shifts: int) -> None:
    problem = draw([5, 2], 1, shifts, 6.0)
    assert_close_to(problem.score_by(place), problem.double().score_by(score_torch))


@pytest.mark.parametrize("place", KERNELS)
@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_kernel_is_right_around_the_ends_of_its_blocks(place: str, extra: int) -> None:
    """Coefficients and candidates one less, as many and one more than fit into two blocks."""
    problem = draw([2 * LONGEST_RUN + extra, 1], 2, 9, 16.0)
    count = 2 * BLOCK + extra
    cut = Problem(
        problem.observations.within(count),
        problem.candidates,
        problem.volumes,
        problem.frequencies[:count],
        problem.phases[:, :count],
    )
    assert_close_to(cut.score_by(place), cut.double().score_by(score_torch))


@pytest.mark.parametrize("place", KERNELS)
def test_scores_do_not_depend_on_the_order_of_candidates(place: str, generator: torch.Generator) -> None:
    problem = draw([9, 40, 3], 2, 5, 10.0)
    order = torch.randperm(52, generator=generator)
    mixed = Problem(
        problem.observations,
        tuple(a[order] for a in problem.candidates),
        problem.volumes,
        problem.frequencies,
        problem.phases,
    )
    # a matrix product may round by the place of a row in its tile, which differs from processor to processor
    torch.testing.assert_close(mixed.score_by(place), problem.score_by(place)[order], rtol=2e-6, atol=1e-3)


@pytest.mark.parametrize("place", KERNELS)
def test_a_conjugate_view_of_the_data_is_understood(place: str) -> None:
    """Torch conjugates lazily: the kernel has to see the numbers, not the flag."""
    problem = draw([5, 6], 1, 3, 8.0)
    o = problem.observations
    lazy = Observations(o.data.conj(), o.weight, o.power)
    plain = Observations(o.data.conj().resolve_conj(), o.weight, o.power)
    scores = replace(problem, observations=lazy).score_by(place)
    assert torch.equal(scores, replace(problem, observations=plain).score_by(place))
    assert not torch.allclose(scores, problem.score_by(place))


def test_double_precision_stays_double() -> None:
    problem = draw([4, 2], 2, 3, 6.0).double()
    assert problem.score().dtype == torch.float64
    assert torch.equal(problem.score(), problem.score_by(score_torch))


@pytest.mark.parametrize("place", IMPLEMENTATIONS)
def test_no_candidates_have_no_scores(place: str) -> None:
    assert draw([0, 0], 1, 3, 6.0).score_by(place).shape == (0, 3)
