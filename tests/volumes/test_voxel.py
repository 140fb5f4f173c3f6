"""Working boxes: sizes, resampling, the pair of exact adjoints, and the division that undoes known weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import next_fast_len

from cryorbit.fourier.half_disc import half_disc
from cryorbit.fourier.interpolation import gather_slices, insert_slices, join_mates
from cryorbit.geometry.rotations import random_rotations
from cryorbit.simulate.phantoms import random_blob_phantom
from cryorbit.volumes.model import solve
from cryorbit.volumes.voxel import (
    PAD,
    VoxelGrid,
    on_grid,
    quotient,
    resample,
    synthesize,
    working_grid,
)


def gaussian(size: int, width: float) -> torch.Tensor:
    """A Gaussian of ``width`` voxels about the centre voxel, float64."""
    profile = torch.exp(-0.5 * ((torch.arange(size).double() - size // 2) / width) ** 2)
    return profile[:, None, None] * profile[:, None] * profile


@settings(deadline=None, max_examples=100)
@given(half_box=st.integers(4, 300), part=st.floats(0, 1))
def test_working_grid_is_the_smallest_fast_box_that_holds_the_slices(half_box: int, part: float) -> None:
    box = 2 * half_box
    radius = 1 + part * (half_box - 2)
    grid = working_grid(box, radius)
    fast = [2 * n for n in range(1, half_box + 1) if next_fast_len(n, real=True) == n and 2 * n >= 2 * int(radius) + 4]
    assert grid.size == min([*fast, box])
    # the outermost point of a slice and its neighbour on the padded grid lie within the half transform
    assert PAD * radius + 1 <= grid.padded / 2


@pytest.mark.parametrize(("old", "new"), [(12, 20), (12, 24), (10, 16)])
def test_resampling_up_and_down_again_changes_nothing(old: int, new: int, generator: torch.Generator) -> None:
    # what comes out of resample has no unpaired row at Nyquist
    volume = resample(torch.randn(2, old + 2, old + 2, old + 2, generator=generator, dtype=torch.float64), old)
    assert volume.shape == (2, old, old, old)
    torch.testing.assert_close(resample(resample(volume, new), old), volume, rtol=0, atol=1e-12)
    assert resample(volume, old) is volume


def test_resampling_interpolates_between_the_same_values(generator: torch.Generator) -> None:
    volume = resample(torch.randn(14, 14, 14, generator=generator, dtype=torch.float64), 12)
    torch.testing.assert_close(resample(volume, 24)[::2, ::2, ::2], volume, rtol=0, atol=1e-12)


def test_resampling_keeps_density_and_centre() -> None:
    torch.testing.assert_close(resample(gaussian(48, 4.0), 24), gaussian(24, 2.0), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("box", "size"), [(24, 16), (16, 16)])
def test_adjoint_is_the_adjoint_of_synthesize(box: int, size: int, generator: torch.Generator) -> None:
    grid = VoxelGrid(box, size)
    volume = torch.randn(2, size, size, size, generator=generator, dtype=torch.float64)
    spectrum = synthesize(volume, grid)
    half = torch.randn(spectrum.shape, dtype=torch.complex128, generator=generator)
    # no slice reaches the plane at Nyquist
    half[..., -1] = 0
    left = torch.vdot(half.flatten(), spectrum.flatten()).real
    torch.testing.assert_close((grid.adjoint(half) * volume).sum(), left, rtol=1e-12, atol=0)


def test_division_by_the_weights_gives_back_the_volume(generator: torch.Generator) -> None:
    """Slices of uneven weights in many poses determine the volume up to the error of linear interpolation."""
    box, radius = 24, 9
    grid, disc = working_grid(box, radius), half_disc(box, radius)
    volume = resample(random_blob_phantom(box, generator), grid.size)
    rotations = random_rotations(3000, generator).float()
    slices = gather_slices(synthesize(volume, grid), rotations, disc.frequencies, PAD)
    weights = 0.1 + torch.rand(slices.shape, generator=generator)
    data, weight = insert_slices(weights * slices, weights, rotations, disc.frequencies, grid.padded, PAD)
    solved = solve(join_mates(data), join_mates(weight), grid)
    # the origin of Fourier space is in no slice: compare without the mean
    error = (solved - solved.mean()) - (volume - volume.mean())
    assert error.norm() < 0.05 * (volume - volume.mean()).norm()


def test_division_of_the_quotient_times_weights_is_exact(generator: torch.Generator) -> None:
    grid = working_grid(24, 9)
    volume = resample(random_blob_phantom(24, generator), grid.size).double()
    spectrum = quotient(volume, grid)
    weights = 0.1 + torch.rand(spectrum.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(solve(weights * spectrum, weights, grid), volume, rtol=0, atol=1e-12)


def test_division_leaves_zero_what_has_no_weight() -> None:
    grid = VoxelGrid(8, 8)
    data = torch.ones(16, 16, 9, dtype=torch.complex64)
    weight = torch.zeros(16, 16, 9)
    assert not solve(data, weight, grid).any()
    weight[0, 0, 0] = 4.0
    flat = solve(data, weight, grid)
    assert flat[4, 4, 4] > 0
    # one coefficient at the origin: a constant, divided by the transform of the kernel, largest in the corner
    assert flat[0, 0, 0] > flat[4, 4, 4]


def test_radius_is_the_distance_in_pixels_of_the_box() -> None:
    radius = VoxelGrid(16, 8).radius(torch.zeros(1))
    assert radius.shape == (16, 16, 9)
    assert radius[0, 0].tolist() == [n / 2 for n in range(9)]
    assert radius[:, 0, 0].tolist() == [n / 2 for n in (*range(8), *range(8, 0, -1))]
    assert float(radius[-1, 2, 4]) == pytest.approx((0.25 + 1 + 4) ** 0.5)


def frequencies_of(grid: VoxelGrid) -> torch.Tensor:
    """The frequency ``(kz, ky, kx)`` of every point of a padded half grid, steps of the padded grid."""
    whole = torch.fft.fftfreq(grid.padded, 1 / grid.padded, dtype=torch.float64)
    half = torch.arange(grid.padded // 2 + 1, dtype=torch.float64)
    return torch.stack(torch.meshgrid(whole, whole, half, indexing="ij"))


sizes = st.integers(3, 8).map(lambda half: 2 * half)


@settings(deadline=None, max_examples=25)
@given(old=sizes, new=sizes, seed=st.integers(0, 2**16))
def test_another_grid_has_the_same_values_at_the_same_frequencies(old: int, new: int, seed: int) -> None:
    first, second = VoxelGrid(24, old), VoxelGrid(24, new)
    coefficients = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    # a plane wave over frequency space has another value at every frequency
    ours, theirs = (
        torch.einsum("kf,fzyx->kzyx", coefficients, frequencies_of(grid)).sin() + 2 for grid in (first, second)
    )
    kz, ky, kx = frequencies_of(second)
    side = min(first.padded, second.padded) / 2
    known = (kz >= -side) & (kz < side) & (ky >= -side) & (ky < side) & (kx <= side)
    torch.testing.assert_close(on_grid(ours, second), torch.where(known, theirs, 0.0), rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(old=sizes, new=sizes)
def test_a_larger_grid_and_back_changes_nothing(old: int, new: int) -> None:
    first, second = VoxelGrid(24, min(old, new)), VoxelGrid(24, max(old, new))
    spectrum = torch.randn(1, first.padded, first.padded, first.padded // 2 + 1)
    assert torch.equal(on_grid(on_grid(spectrum, second), first), spectrum)
