"""The mask of half-maps: as soft as it must be, and no softer."""

import torch
from synthetic_halves import fading, noisy_halves, white_particle

from cryorbit.evaluation.band_limit import without_shells_beyond
from cryorbit.evaluation.corrected_fsc import LARGEST_BIAS, corrected_fsc
from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.evaluation.half_map_mask import NARROWEST_EDGE_A, NEAR_A, half_map_mask
from cryorbit.evaluation.radial_filter import apply_gain, low_pass
from cryorbit.evaluation.solvent_mask import outlined, soft_edge
from cryorbit.imaging.masks import soft_ball

BOX, PIXEL_SIZE = 64, 3.0


def crowded_cage(generator: torch.Generator) -> torch.Tensor:
    """A hollow particle with fine detail among strong smooth density, as neighbours leave it."""
    crowd = apply_gain(torch.randn(BOX, BOX, BOX, generator=generator), low_pass(BOX, PIXEL_SIZE, 20.0))
    cage = soft_ball(BOX, 17, 2) - soft_ball(BOX, 11, 2)
    return cage * (20 + torch.randn(BOX, BOX, BOX, generator=generator)) + 10 * crowd / crowd.std()


def width_of(mask: torch.Tensor) -> float:
    """Voxels of the edge: those between 0.02 and 0.98 along x, from the centre outwards."""
    profile = mask[BOX // 2, BOX // 2, BOX // 2 :]
    return float(((profile > 0.02) & (profile < 0.98)).sum())


def test_a_narrow_edge_that_does_no_harm_is_kept(generator: torch.Generator) -> None:
    halves = noisy_halves(fading(white_particle(BOX, generator, 16), PIXEL_SIZE, 100.0), 0.1, generator)
    mask, fsc = half_map_mask(halves.mean(0), halves, PIXEL_SIZE, generator)
    assert fsc.mask_bias < LARGEST_BIAS
    assert float(mask.min()) >= 0.0
    assert float(mask.max()) == 1.0
    # 1.5 times the resolution, 6 to 9 A, is 9 to 13 A
    assert width_of(mask) <= 5
    again = corrected_fsc(halves[0], halves[1], PIXEL_SIZE, mask, generator)
    torch.testing.assert_close(fsc.masked, again.masked)


def test_an_edge_that_makes_correlation_is_widened_until_it_does_not(generator: torch.Generator) -> None:
    signal, window = crowded_cage(generator), soft_ball(BOX, 19, 2)
    halves = noisy_halves(signal, 1.0, generator)
    particle = outlined(signal, PIXEL_SIZE, 15.0, window)
    narrow = soft_edge(particle, NEAR_A / PIXEL_SIZE, (NEAR_A + NARROWEST_EDGE_A) / PIXEL_SIZE)
    assert corrected_fsc(halves[0], halves[1], PIXEL_SIZE, narrow, generator).mask_bias > 2 * LARGEST_BIAS
    mask, fsc = half_map_mask(halves.mean(0), halves, PIXEL_SIZE, generator, window)
    assert fsc.mask_bias < LARGEST_BIAS
    assert width_of(mask) > width_of(narrow)


def test_the_edge_may_leave_the_window_in_which_the_particle_is_sought(generator: torch.Generator) -> None:
    signal = white_particle(BOX, generator, 16) + 3 * soft_ball(BOX, 16, 3)
    neighbour = torch.roll(soft_ball(BOX, 5, 1), 26, dims=-1) * 3
    halves = noisy_halves(signal + neighbour, 0.1, generator)
    window = soft_ball(BOX, 16, 2)
    mask, _ = half_map_mask(halves.mean(0), halves, PIXEL_SIZE, generator, window)
    assert float(mask[window > 0.5].min()) > 0.9
    assert 0.1 < float(mask[BOX // 2, BOX // 2, BOX // 2 + 20]) < 1.0
    assert float(mask[BOX // 2, BOX // 2, BOX // 2 + 29]) == 0.0


def test_half_maps_that_end_claim_no_more_inside_the_mask(generator: torch.Generator) -> None:
    halves = noisy_halves(white_particle(BOX, generator, 16), 0.1, generator)
    cut = torch.stack([without_shells_beyond(half, 12) for half in halves])
    mask, fsc = half_map_mask(cut.mean(0), cut, PIXEL_SIZE, generator, last=12)
    assert fsc.resolution() == fsc.finest_A == BOX * PIXEL_SIZE / 12
    # told nothing, it sees the edge, beyond which the mask makes correlation
    _, seen = half_map_mask(cut.mean(0), cut, PIXEL_SIZE, generator)
    assert seen.resolution() == fsc.finest_A
    assert float(fourier_shell_correlation(cut[0], cut[1], mask)[13:].max()) > 0.5
