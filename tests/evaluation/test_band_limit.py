"""Where maps end: cut, filtered, resampled, rounded; and those that only fade do not."""

import pytest
import torch
from synthetic_halves import fading

from cryorbit.evaluation.band_limit import EDGE_SHELLS, last_shell, shell_within, without_shells_beyond
from cryorbit.evaluation.radial_filter import apply_gain, raised_cosine
from cryorbit.fourier.shells import shell_indices
from cryorbit.volumes.voxel import resample

BOX = 48


def noise(generator: torch.Generator, box: int = BOX) -> torch.Tensor:
    """A map with data in all shells."""
    return torch.randn(box, box, box, generator=generator)


def test_a_map_with_data_everywhere_ends_with_its_box(generator: torch.Generator) -> None:
    assert last_shell(noise(generator)) == BOX // 2


@pytest.mark.parametrize("last", [4, 9, 17])
def test_a_map_that_was_cut_ends_where_it_was_cut(last: int, generator: torch.Generator) -> None:
    cut = without_shells_beyond(noise(generator), last)
    power = torch.fft.rfftn(cut).abs()
    assert float(power[shell_indices(BOX) > last].max()) < 1e-3 < float(power[shell_indices(BOX) <= last].median())
    assert last_shell(cut) == last
    # stored with the precision of float16 it holds no more
    assert last_shell(cut.half().float()) == last


@pytest.mark.parametrize("cutoff", [8.5, 14.67, 20.0])
@pytest.mark.parametrize("edge", [0.5, 2.0, 4.0])
def test_a_filtered_map_ends_within_its_filter(cutoff: float, edge: float, generator: torch.Generator) -> None:
    filtered = apply_gain(noise(generator), raised_cosine(torch.arange(BOX // 2 + 1).double(), cutoff, edge))
    assert cutoff - EDGE_SHELLS <= last_shell(filtered) <= cutoff


def test_a_map_on_a_finer_grid_holds_no_more(generator: torch.Generator) -> None:
    coarse = noise(generator, 24)
    assert last_shell(resample(coarse, BOX)) in {11, 12}


def test_the_coarser_of_two_maps_counts(generator: torch.Generator) -> None:
    fine = noise(generator)
    assert last_shell(fine, without_shells_beyond(fine, 13)) == 13


def test_a_map_that_fades_into_its_noise_does_not_end(generator: torch.Generator) -> None:
    # amplitudes fall to exp(-31): what is left is the noise, a hundred-thousandth of the map's power
    faded = fading(noise(generator), 2.0, 2000.0)
    assert last_shell(faded + 3e-3 * float(faded.std()) * noise(generator)) == BOX // 2
    assert last_shell(faded) < BOX // 2


def test_a_resolution_that_a_file_has_rounded_keeps_its_shell() -> None:
    assert shell_within(320.0, 40.00004) == 8
    assert shell_within(352.0, 24.0) == 14
