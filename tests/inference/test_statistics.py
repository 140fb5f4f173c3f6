"""Statistics averaged over a point group against those of every symmetry copy inserted."""

from collections.abc import Iterable

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc
from cryorbit.fourier.interpolation import add_slices, gather_slices, join_mates
from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import random_rotations
from cryorbit.inference.statistics import VolumeStatistics, empty_statistics, inserted_copies, symmetrised
from cryorbit.simulate.phantoms import Blobs, blob_volume, random_blobs
from cryorbit.volumes.voxel import PAD, resample, synthesize, working_grid

BOX, RADIUS = 32, 15.0
GRID, DISC = working_grid(BOX, RADIUS), half_disc(BOX, RADIUS)


def symmetric_map(group: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Copies of a few blobs under the group, in its own frame."""
    unit = random_blobs(BOX, generator, 4)
    centers = torch.cat([unit.centers @ operator.T for operator in group])
    blobs = Blobs(centers, unit.widths.repeat(len(group)), unit.heights.repeat(len(group)))
    return resample(blob_volume(blobs, BOX), GRID.size)


def slices_of(volume: torch.Tensor, images: int, seed: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Data and weight of noisy slices under a CTF, and their rotations."""
    generator = torch.Generator().manual_seed(seed)
    rotations = random_rotations(images, generator).float()
    slices = gather_slices(synthesize(volume, GRID), rotations, DISC.frequencies, PAD)
    ctf = torch.cos(0.02 * DISC.frequencies.square().sum(1) * (1 + torch.rand(images, 1, generator=generator)))
    error = torch.randn(slices.shape, dtype=torch.complex64, generator=generator) * slices.abs().mean()
    return ctf * (ctf * slices + error), ctf**2, rotations


def inserted(
    images: tuple[torch.Tensor, torch.Tensor, torch.Tensor], copies: Iterable[torch.Tensor]
) -> VolumeStatistics:
    data, weight, _ = images
    statistics = empty_statistics(GRID, DISC, 1, 1, data)
    for rotations in copies:
        add_slices(statistics.data[0, 0], statistics.weight[0, 0], data, weight, rotations, DISC.frequencies, PAD)
    return statistics


@pytest.mark.parametrize(
    ("symbol", "copies"), [("C3", 3), ("C4", 1), ("D2", 1), ("D7", 7), ("O", 1), ("I", 5), ("I3", 30)]
)
def test_sums_are_those_of_all_copies(symbol: str, copies: int, generator: torch.Generator) -> None:
    group = point_group(symbol)
    images = slices_of(symmetric_map(group, generator), 40)
    few = list(inserted_copies(images[2], group))
    assert len(few) == copies
    averaged = symmetrised(inserted(images, few), group, GRID)
    everything = inserted(images, [images[2] @ operator.float() for operator in group])
    data, expected = join_mates(averaged.data), join_mates(everything.data)
    torch.testing.assert_close(data, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    weight, expected = join_mates(averaged.weight), join_mates(everything.weight)
    torch.testing.assert_close(weight, expected, rtol=0, atol=1e-4 * float(expected.max()))


def test_a_half_set_is_added_to_in_place_and_counts_from_zero() -> None:
    statistics = empty_statistics(GRID, DISC, 2, 3, torch.zeros(0, dtype=torch.complex64))
    for sums in statistics.tensors():
        sums += 1
    assert [len(statistics.half(number).data) for number in (0, 1)] == [1, 1]
    half = statistics.half(1)
    half.data[0, 2] += 4
    half.weight[0, 2] += 5
    assert [bool((each != 1).any()) for each in statistics.data[:, 2]] == [False, True]
    assert [bool((each != 1).any()) for each in statistics.weight[:, 2]] == [False, True]
    sums = {"residual": 2.0, "class_mass": 3.0, "log_evidence": 4.0, "images": 5.0}
    for name, more in sums.items():
        assert not getattr(half, name).any()
        getattr(half, name).add_(more)
    statistics.add_sums_(half)
    for name, more in sums.items():
        assert bool((getattr(statistics, name) == 1 + more).all())


def test_without_symmetry_nothing_changes(generator: torch.Generator) -> None:
    images = slices_of(symmetric_map(point_group("C1"), generator), 5)
    statistics = inserted(images, [images[2]])
    before = statistics.data.clone()
    assert symmetrised(statistics, None, GRID) is statistics
    assert torch.equal(symmetrised(statistics, point_group("C1"), GRID).data, before)
