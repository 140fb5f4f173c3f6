"""Splitting a consensus: principal components of variation find two classes in known poses."""

import numpy as np
import pytest
import torch

from cryorbit.evaluation.classes import class_accuracy
from cryorbit.imaging.masks import soft_ball
from cryorbit.inference import split
from cryorbit.inference.mstep import maximise
from cryorbit.inference.reconstruction import KnownPoses, reconstruct
from cryorbit.inference.split import Components, PosedImages, cluster, principal_components, prior_precision
from cryorbit.volumes.voxel import VoxelModel
from phantom_sets import PhantomSet

RADIUS = 8.0


def components_of(particles: PhantomSet, count: int, seed: int = 0) -> Components:
    """Components about the consensus that the images give in their true poses."""
    band, everything = particles.band(RADIUS), particles.everything
    size = band.grid.size
    window = soft_ball(size, 0.4 * size, 2.0)
    one = torch.zeros_like(everything)
    known = KnownPoses(particles.poses, one, everything % 2, torch.ones(len(everything)))
    statistics = reconstruct(particles.source, everything, known, band, 1)
    consensus = band.grid.model(maximise(statistics, band.grid, RADIUS, window).volume)
    generator = torch.Generator().manual_seed(seed)
    images = PosedImages(particles.source, everything, particles.poses, consensus, band)
    return principal_components(images, window, count, 15, generator)


@pytest.fixture(scope="module")
def components(two_class_set: PhantomSet) -> Components:
    return components_of(two_class_set, 2)


def test_clusters_are_the_classes(two_class_set: PhantomSet, components: Components) -> None:
    label = cluster(components.coordinate[:, :1], 2, torch.Generator().manual_seed(0))
    assert class_accuracy(label, two_class_set.classes) > 0.9


def test_the_first_component_is_the_difference_of_the_classes(
    two_class_set: PhantomSet, components: Components
) -> None:
    truth = two_class_set.working(RADIUS)
    difference = truth[0] - truth[1]
    first = components.volume[0]
    cosine = (first * difference).sum() / (first.norm() * difference.norm())
    assert abs(float(cosine)) > 0.65
    # coordinates of unit variance: a component is half the difference
    assert float(first.norm()) == pytest.approx(0.5 * float(difference.norm()), rel=0.4)


def test_components_are_orthogonal_and_coordinates_of_unit_variance(components: Components) -> None:
    first, second = components.volume
    assert abs(float((first * second).sum() / (first.norm() * second.norm()))) < 1e-4
    assert float(first.norm()) > 1.3 * float(second.norm())
    # posterior means vary less than the coordinates themselves
    assert 0.5 < float(components.coordinate[:, 0].std()) <= 1.05


def test_any_start_finds_the_same_component(two_class_set: PhantomSet, components: Components) -> None:
    other = components_of(two_class_set, 2, seed=5)
    both = torch.stack([components.coordinate[:, 0], other.coordinate[:, 0]])
    assert abs(float(torch.corrcoef(both)[0, 1])) > 0.95


def test_clusters_of_separate_points(generator: torch.Generator) -> None:
    centres = torch.tensor([[0.0, 0], [6, 0], [0, 6]])
    truth = torch.randint(3, (300,), generator=generator)
    points = centres[truth] + torch.randn(300, 2, generator=generator)
    label = cluster(points, 3, torch.Generator().manual_seed(1))
    assert class_accuracy(label, truth) > 0.98
    assert torch.equal(label, cluster(points, 3, torch.Generator().manual_seed(1)))


def test_of_ten_starts_the_tightest_clusters_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Centres of one cluster at a distance from its points, all of them at zero: a quarter is the least square."""
    distances = iter([3.0, -1.0, 0.5, -0.6, *[2.0] * 6])
    starts = []

    def start(points: np.ndarray, *_: object, **__: object) -> tuple[np.ndarray, np.ndarray]:
        starts.append(len(starts))
        return np.array([[next(distances)]] * 10), np.full(len(points), starts[-1])

    monkeypatch.setattr(split, "kmeans2", start)
    assert cluster(torch.zeros(3, 1), 1, torch.Generator()).tolist() == [2, 2, 2]
    assert len(starts) == 10


def test_components_are_believed_to_be_three_tenths_of_the_consensus(two_class_set: PhantomSet) -> None:
    """The precision of a coefficient is one over the square of that, by the mean power in its shell."""
    band, everything = two_class_set.band(RADIUS), two_class_set.everything
    shells = band.grid.radius(torch.zeros(band.grid.shape)).round()
    consensus = VoxelModel((1j * (1 + shells))[None].to(torch.complex64))
    images = PosedImages(two_class_set.source, everything, two_class_set.poses, consensus, band)
    torch.testing.assert_close(prior_precision(images), 1 / (0.3 * (1 + shells)) ** 2)
