"""Statistics averaged over a point group against those of every symmetry copy inserted."""

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc
from cryorbit.fourier.interpolation import add_slices, gather_slices, join_mates
from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import random_rotations
from cryorbit.inference.mstep import FLOOR, half_map_correlation
from cryorbit.inference.statistics import VolumeStatistics, empty_statistics, symmetric_copies, symmetrised
from cryorbit.simulate.phantoms import Blobs, blob_volume, random_blobs
from cryorbit.volumes.voxel import PAD, resample, solve, synthesize, working_grid

BOX, RADIUS = 32, 15.0
GRID, DISC = working_grid(BOX, RADIUS), half_disc(BOX, RADIUS)


def symmetric_map(group: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Copies of a few blobs under the group, in its own frame."""
    unit = random_blobs(BOX, generator, 4)
    centers = torch.cat([unit.centers @ operator.T for operator in group])
    blobs = Blobs(centers, unit.widths.repeat(len(group)), unit.heights.repeat(len(group)))
    return resample(blob_volume(blobs, BOX), GRID.size)


def inserted(
    volume: torch.Tensor, images: int, group: torch.Tensor | None, noise: float, seed: int = 5
) -> VolumeStatistics:
    """Statistics of noisy slices under a CTF, inserted for every operator; the same ones for any group."""
    generator = torch.Generator().manual_seed(seed)
    rotations = random_rotations(images, generator).float()
    slices = gather_slices(synthesize(volume, GRID), rotations, DISC.frequencies, PAD)
    ctf = torch.cos(0.02 * DISC.frequencies.square().sum(1) * (1 + torch.rand(images, 1, generator=generator)))
    error = torch.randn(slices.shape, dtype=torch.complex64, generator=generator) * noise * slices.abs().mean()
    statistics = empty_statistics(GRID, DISC, 1, 1, slices)
    sums = statistics.data[0, 0], statistics.weight[0, 0]
    for copies in symmetric_copies(rotations, group):
        add_slices(*sums, ctf * (ctf * slices + error), ctf**2, copies, DISC.frequencies, PAD)
    return statistics


def solution(statistics: VolumeStatistics) -> torch.Tensor:
    weight = join_mates(statistics.weight)
    return solve(join_mates(statistics.data), weight + FLOOR * weight.mean(), GRID)[0]


@pytest.mark.parametrize("symbol", ["C2", "C4", "D2", "O"])
def test_operators_of_the_grid_are_exact(symbol: str, generator: torch.Generator) -> None:
    group = point_group(symbol)
    volume = symmetric_map(group, generator)
    averaged = symmetrised(inserted(volume, 60, None, 1.0), group, GRID)
    copies = inserted(volume, 60, group, 1.0)
    data, expected = join_mates(averaged.data), join_mates(copies.data) / len(group)
    torch.testing.assert_close(data, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    weight, expected = join_mates(averaged.weight), join_mates(copies.weight) / len(group)
    torch.testing.assert_close(weight, expected, rtol=0, atol=1e-5 * float(expected.max()))


@pytest.mark.parametrize(("symbol", "images"), [("C3", 300), ("D7", 100), ("I", 60), ("I3", 60)])
def test_other_operators_give_the_same_map(symbol: str, images: int, generator: torch.Generator) -> None:
    """Within the particle the map is that of all copies, and hardly farther from the truth."""
    group = point_group(symbol)
    volume = symmetric_map(group, generator)
    found = solution(symmetrised(inserted(volume, images, None, 1.0), group, GRID))
    copies = solution(inserted(volume, images, group, 1.0))
    axis = torch.arange(GRID.size) - GRID.size // 2
    inside = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < (0.36 * BOX) ** 2
    found, copies, truth = (inside * v for v in (found, copies, volume[None]))
    agreement = half_map_correlation(found, copies, int(RADIUS))[0]
    assert float(agreement[1:].min()) > 0.95
    assert float((found * copies).sum() / copies.square().sum()) == pytest.approx(1, abs=0.01)
    single = inside * solution(inserted(volume, images, None, 1.0))
    error, of_copies, of_single = (float((v - truth).norm()) for v in (found, copies, single))
    assert error < 1.25 * of_copies < of_single


def test_without_symmetry_nothing_changes(generator: torch.Generator) -> None:
    statistics = inserted(symmetric_map(point_group("C1"), generator), 5, None, 1.0)
    assert symmetrised(statistics, None, GRID) is statistics
    assert symmetrised(statistics, point_group("C1"), GRID) is statistics
