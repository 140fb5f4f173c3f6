"""From statistics to maps: the truth from true poses, the correlation of halves, the prior, the resolved radius."""

from dataclasses import replace

import pytest
import torch

from cryorbit.core.data import Poses
from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.geometry.point_groups import point_group
from cryorbit.imaging.masks import soft_ball
from cryorbit.inference.mstep import Maps, half_map_correlation, maximise, resolved_radius, shell_prior
from cryorbit.inference.reconstruction import KnownPoses, reconstruct
from cryorbit.inference.statistics import VolumeStatistics
from phantom_sets import PhantomSet

RADIUS = 10.0
WHOLE_SHELLS = slice(1, 10)
"""Shells that lie within the radius, half a pixel to either side included."""


def known_poses(particles: PhantomSet) -> KnownPoses:
    half_set = torch.arange(len(particles.source)) // 2 % 2
    return KnownPoses(particles.poses, particles.classes, half_set, torch.ones(len(particles.source)))


def from_known(particles: PhantomSet, known: KnownPoses, symmetry: torch.Tensor | None = None) -> VolumeStatistics:
    index, band = particles.everything, particles.band(RADIUS)
    return reconstruct(particles.source, index, known, band, len(particles.volumes), symmetry)


def maps_of(particles: PhantomSet, statistics: VolumeStatistics) -> Maps:
    grid = particles.band(RADIUS).grid
    return maximise(statistics, grid, RADIUS, soft_ball(grid.size, 0.4 * grid.size, 2.0))


def test_true_poses_give_the_true_map(clear_set: PhantomSet) -> None:
    maps = maps_of(clear_set, from_known(clear_set, known_poses(clear_set)))
    truth = clear_set.working(RADIUS)[0]
    for volume, floor in ((maps.volume[0], 0.87), (maps.halves[0, 0], 0.7), (maps.halves[1, 0], 0.7)):
        assert float(fourier_shell_correlation(volume, truth)[WHOLE_SHELLS].min()) > floor
    # the grey scale is the truth's, too
    assert float((maps.volume[0] * truth).sum() / (truth**2).sum()) == pytest.approx(1, abs=0.05)
    assert float(maps.fsc[0, WHOLE_SHELLS].min()) > 0.5


def test_wrong_poses_do_not(clear_set: PhantomSet) -> None:
    known = known_poses(clear_set)
    others = Poses(known.poses.rotations.flip(0), known.poses.shifts)
    maps = maps_of(clear_set, from_known(clear_set, replace(known, poses=others)))
    truth = clear_set.working(RADIUS)[0]
    assert float(fourier_shell_correlation(maps.volume[0], truth)[4:10].mean()) < 0.3


def test_weights_and_halves_of_known_poses(clear_set: PhantomSet) -> None:
    """Particles of weight zero are not there; each joins its own half."""
    known = known_poses(clear_set)
    gone = replace(known, weight=(known.half_set == 0).float())
    whole, part = from_known(clear_set, known), from_known(clear_set, gone)
    assert torch.equal(part.data[0], whole.data[0])
    assert not part.data[1].any()
    assert not part.weight[1].any()
    assert float(part.class_mass) == float((known.half_set == 0).sum())
    halved = from_known(clear_set, replace(known, weight=0.5 * known.weight))
    torch.testing.assert_close(halved.data, 0.5 * whole.data)
    torch.testing.assert_close(halved.weight, 0.5 * whole.weight)


def test_statistics_of_parts_add(clear_set: PhantomSet) -> None:
    known, band = known_poses(clear_set), clear_set.band(RADIUS)
    whole = from_known(clear_set, known)
    first, second = (
        reconstruct(
            clear_set.source,
            part,
            KnownPoses(known.poses[part], known.klass[part], known.half_set[part], known.weight[part]),
            band,
            1,
        )
        for part in clear_set.everything.split([70, 130])
    )
    for name in VolumeStatistics.__slots__:
        one, other, both = (getattr(each, name) for each in (first, second, whole))
        torch.testing.assert_close(one + other, both, rtol=1e-4, atol=1e-2)


def test_classes_have_maps_of_their_own(two_class_set: PhantomSet) -> None:
    maps = maps_of(two_class_set, from_known(two_class_set, known_poses(two_class_set)))
    truth = two_class_set.working(RADIUS)
    difference = fourier_shell_correlation(maps.volume[0] - maps.volume[1], truth[0] - truth[1])
    assert float(difference[2:7].min()) > 0.75


def test_symmetry_makes_the_map_symmetric(clear_set: PhantomSet) -> None:
    maps = maps_of(clear_set, from_known(clear_set, known_poses(clear_set), point_group("C2")))
    volume = maps.volume[0]
    turned = volume.flip(1, 2).roll((1, 1), (1, 2))
    assert float((volume - turned).norm() / volume.norm()) < 1e-2
    truth = clear_set.working(RADIUS)[0]
    symmetric = 0.5 * (truth + truth.flip(1, 2).roll((1, 1), (1, 2)))
    assert float(fourier_shell_correlation(volume, symmetric)[WHOLE_SHELLS].min()) > 0.85


def test_correlation_of_halves_is_the_fourier_shell_correlation(generator: torch.Generator) -> None:
    a, b = torch.randn(2, 3, 16, 16, 16, generator=generator)
    b = b + a
    curves = half_map_correlation(a, b, 9)
    for k in range(3):
        torch.testing.assert_close(curves[k].double(), fourier_shell_correlation(a[k], b[k])[:9], rtol=0, atol=1e-5)


def test_the_prior_of_a_shell_is_its_weight_over_the_signal_to_noise_ratio() -> None:
    """Of one half-set ``F / (1 - F)``, of two twice that, and a thousandth of the weight in any case.

    The first two shells have the correlation of the third; it counts as 0.001 at least and as 0.999 at most.
    """
    fsc = torch.tensor([[0.2, 0.3, 0.8, 0.5, 0.0, 1.0]])
    mean = torch.tensor([1.0, 2.0, 4.0, 6.0, 8.0, 10.0]).expand(1, 1, 6)
    alone = torch.tensor([[0.25, 0.5, 1.0, 6.0, 8 * 999, 10 / 999]]) + 0.001 * mean[0]
    torch.testing.assert_close(shell_prior(mean, fsc), alone)
    # two half-sets have twice the weight, and half of it is divided by the ratio
    torch.testing.assert_close(shell_prior(mean.expand(2, 1, 6), fsc), alone + 0.001 * mean[0])
    assert fsc[0, 0] == 0.2


def test_the_prior_quiets_shells_whose_halves_disagree(clear_set: PhantomSet, generator: torch.Generator) -> None:
    """Weighted noise in place of the data: the halves do not agree and little is left of their mean."""
    statistics = from_known(clear_set, known_poses(clear_set))
    noise = torch.randn(statistics.data.shape, dtype=statistics.data.dtype, generator=generator)
    statistics.data.copy_(noise * statistics.weight.sqrt())
    quiet = maps_of(clear_set, statistics)
    assert float(quiet.fsc[0, 4:10].abs().max()) < 0.3
    assert float(quiet.volume.norm()) < 0.4 * float(quiet.halves.mean(0).norm())


@pytest.mark.parametrize(
    ("fsc", "expected"),
    [
        ([1, 1, 1, 0.9, 0.8, 0.1, 0.0], 4),
        ([1, 1, 1, 0.9, 0.1, 0.9, 0.9], 3),
        ([1, 0, 0, 0.9, 0.9, 0.9, 0.9], 5),
        ([1, 1, 1, 0.1, 0.0, 0.0, 0.0], 2),
        ([1, 1, 1, 0.143, 0.142, 1, 1], 3),
    ],
)
def test_resolved_radius_is_the_last_shell_before_the_fall(fsc: list[float], expected: int) -> None:
    assert resolved_radius(torch.tensor(fsc)) == expected


def test_resolved_radius_of_another_threshold() -> None:
    assert resolved_radius(torch.tensor([1, 1, 1, 0.9, 0.6, 0.4, 0.2]), 0.5) == 4


def test_maps_are_resolved_no_further_than_images_were_inserted(clear_set: PhantomSet) -> None:
    """Two halves of the same images agree in every shell, that beyond the radius too, which the window has filled."""
    statistics = from_known(clear_set, known_poses(clear_set))
    for sums in (statistics.data, statistics.weight):
        sums[1] = sums[0]
    maps = maps_of(clear_set, statistics)
    assert maps.fsc[0].min() > 0.99
    assert resolved_radius(maps.fsc[0]) == RADIUS
