"""The M-step of independent half-sets: what each may know of the other, and how much its own map is damped."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.fourier.shells import shell_indices
from cryorbit.inference.gold_standard import HalfMaps, gold_standard_maps, with_low_shells
from cryorbit.inference.statistics import VolumeStatistics
from cryorbit.simulate.phantoms import random_blob_phantom
from cryorbit.volumes.model import solve
from cryorbit.volumes.voxel import resample, synthesize, working_grid

BOX, RADIUS, JOIN = 32, 12.0, 4.0
GRID = working_grid(BOX, RADIUS)
EVERYWHERE = torch.ones(GRID.size, GRID.size, GRID.size, dtype=torch.float64)
FLOOR = 1e-3
"""Part of the mean weight of a shell that is added to all of its weights."""
SHELLS = GRID.radius(EVERYWHERE).round().long()


def measured(halves: torch.Tensor, weight: torch.Tensor) -> VolumeStatistics:
    """Statistics in which every half-set measured its volume exactly, with these weights on the grid."""
    inside = (SHELLS <= RADIUS).to(weight)
    weight = (weight * inside).expand(2, 1, *weight.shape).clone()
    # the plane x = 0 holds mates, which are joined later
    weight[..., 0] *= 0.5
    nothing = torch.zeros(1, dtype=torch.float64)
    return VolumeStatistics(weight * synthesize(halves, GRID), weight, nothing, nothing, nothing[0], nothing[0])


def shell_weight(falloff: float = 0.2) -> torch.Tensor:
    """A weight that only depends on the shell."""
    return 50 * torch.exp(-falloff * SHELLS.double())


def noisy_halves(generator: torch.Generator, noise: float) -> torch.Tensor:
    """One phantom with noise of its own in each half-set."""
    phantom = resample(random_blob_phantom(BOX, generator).double(), GRID.size)
    volumes = torch.randn(2, 1, GRID.size, GRID.size, GRID.size, generator=generator, dtype=torch.float64)
    return phantom + noise * phantom.std() * volumes


def maps_of(statistics: VolumeStatistics, mask: torch.Tensor = EVERYWHERE) -> HalfMaps:
    return gold_standard_maps(statistics, GRID, RADIUS, JOIN, EVERYWHERE, mask)


def shells_of(volume: torch.Tensor, first: float, last: float) -> torch.Tensor:
    """Coefficients of a volume in the shells from ``first`` to ``last``."""
    shells = shell_indices(volume.shape[-1])
    return torch.fft.rfftn(volume, dim=(-3, -2, -1))[..., (shells >= first) & (shells <= last)]


@pytest.fixture
def halves(generator: torch.Generator) -> torch.Tensor:
    """Half-sets that agree at low resolution and not at high."""
    return noisy_halves(generator, 1.0)


def test_a_half_set_knows_the_other_at_low_resolution_only(halves: torch.Tensor) -> None:
    """The other half-set at twice its scale has the same correlation: nothing beyond the join may change."""
    statistics = measured(halves, shell_weight())
    louder = statistics.data * torch.tensor([1.0, 2.0])[:, None, None, None, None]
    before, after = maps_of(statistics), maps_of(replace(statistics, data=louder))
    torch.testing.assert_close(after.fsc, before.fsc, rtol=0, atol=1e-9)
    torch.testing.assert_close(
        shells_of(after.references[0], JOIN + 1, RADIUS), shells_of(before.references[0], JOIN + 1, RADIUS)
    )
    low_before, low_after = (shells_of(maps.references[0], 1, JOIN) for maps in (before, after))
    assert float((low_after - low_before).norm()) > 0.3 * float(low_before.norm())


def test_half_maps_share_nothing(halves: torch.Tensor, generator: torch.Generator) -> None:
    statistics = measured(halves, shell_weight())
    other = measured(noisy_halves(generator, 1.0), shell_weight())
    mixed = replace(statistics, data=torch.stack([statistics.data[0], other.data[1]]))
    before, after = maps_of(statistics), maps_of(mixed)
    torch.testing.assert_close(after.halves[0], before.halves[0])
    assert float((after.halves[1] - before.halves[1]).norm()) > 0.1 * float(before.halves[1].norm())


def test_references_are_one_up_to_the_join_and_two_beyond(halves: torch.Tensor) -> None:
    first, second = maps_of(measured(halves, shell_weight())).references
    torch.testing.assert_close(shells_of(first, 0, JOIN), shells_of(second, 0, JOIN))
    assert float((shells_of(first, JOIN + 1, RADIUS) - shells_of(second, JOIN + 1, RADIUS)).norm()) > 0


def test_references_are_damped_by_the_correlation(halves: torch.Tensor) -> None:
    """D / (W + W (1 - F) / F) is F D / W for one half-set; twice the images have 2F / (1 + F)."""
    maps = maps_of(measured(halves, shell_weight()))
    fsc = maps.fsc[0].clamp(1e-3, 0.999)
    fsc[:2] = fsc[2]
    # shells beyond the radius hold no data
    shells = SHELLS.clamp_max(len(fsc) - 1)
    measured_part = (SHELLS <= RADIUS).double()
    spectrum = synthesize(halves, GRID) * measured_part
    ones = torch.ones_like(measured_part)
    for half in range(2):
        gain = 1 / (1 / fsc + FLOOR)
        expected = solve(spectrum[half] * gain[shells], ones, GRID)
        reference = maps.references[half]
        torch.testing.assert_close(shells_of(reference, JOIN + 1, RADIUS), shells_of(expected, JOIN + 1, RADIUS))
        # half maps have the floor alone
        torch.testing.assert_close(maps.halves[half], solve(spectrum[half] / (1 + FLOOR), ones, GRID))
    both = 1 / ((1 + fsc) / (2 * fsc) + FLOOR)
    torch.testing.assert_close(maps.volume, solve(spectrum.mean(0) * both[shells], ones, GRID))


def test_half_maps_of_pure_noise_do_not_correlate(generator: torch.Generator) -> None:
    shape = (2, 1, GRID.size, GRID.size, GRID.size)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    fsc = maps_of(measured(noise, shell_weight())).fsc[0]
    full_shells = torch.arange(2, int(RADIUS) - 1)
    # half of a shell's 4 pi r^2 coefficients are independent, each complex
    spread = 1 / torch.sqrt(4 * torch.pi * full_shells**2 / 2)
    assert float((fsc[full_shells].abs() / spread).max()) < 4
    assert float((fsc[full_shells] / spread).square().mean()) == pytest.approx(1, abs=0.9)


def test_half_maps_that_share_a_signal_correlate_by_its_share(generator: torch.Generator) -> None:
    shape = (GRID.size,) * 3
    signal, *noise = (torch.randn(1, *shape, generator=generator, dtype=torch.float64) for _ in range(3))
    fsc = maps_of(measured(torch.stack([2 * signal + n for n in noise]), shell_weight())).fsc[0]
    torch.testing.assert_close(fsc[4:11], torch.full((7,), 0.8, dtype=torch.float64), rtol=0, atol=0.1)


def test_references_and_map_vanish_outside_the_mask(halves: torch.Tensor) -> None:
    mask = torch.zeros_like(EVERYWHERE)
    mask[6:20, 8:22, 7:19] = 1
    maps = maps_of(measured(halves, shell_weight()), mask)
    for volume in (*maps.references, maps.volume):
        assert not volume[..., mask == 0].any()
        assert bool(volume[..., mask == 1].any())
    assert bool(maps.halves[..., mask == 0].any())


@settings(deadline=None, max_examples=20)
@given(last=st.integers(0, 12), part=st.sampled_from([0.0, 0.3, 0.9]), seed=st.integers(0, 2**16))
def test_low_shells_come_from_the_other_volume(last: int, part: float, seed: int) -> None:
    volumes = torch.randn(2, 1, 14, 14, 14, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    own, other = volumes
    joined = with_low_shells(own, other, last + part)
    torch.testing.assert_close(shells_of(joined, 0, last), shells_of(other, 0, last))
    torch.testing.assert_close(shells_of(joined, last + 1, 99), shells_of(own, last + 1, 99))
