"""Searches over all poses: the truth is among the candidates, and what moved is counted."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.geometry.rotations import angular_distance, random_rotations, rotvec_to_matrix
from cryorbit.inference import global_search
from cryorbit.inference.candidates import Candidates
from cryorbit.inference.global_search import (
    GlobalSearch,
    coarse_grid,
    coarse_spacing,
    moved_fraction,
    resolvable_radius,
    search_all_poses,
)
from cryorbit.inference.pose_space import PoseSpace
from phantom_sets import PhantomSet

SEARCH = GlobalSearch(spacing=15, radius=6.0, space=PoseSpace(4.0), shift_step=1.5, cells=8)


def searched(particles: PhantomSet, index: torch.Tensor, seed: int = 1, search: GlobalSearch = SEARCH) -> Candidates:
    noise = torch.ones(particles.source.box // 2 + 1)
    generator = torch.Generator().manual_seed(seed)
    return search_all_poses(particles.source, index, particles.volumes, noise, search, generator)


def nearest(cells: Candidates, truth: torch.Tensor) -> torch.Tensor:
    """Degrees between the true rotation of every image and the nearest of its candidates."""
    distance = angular_distance(cells.rotation.double(), truth[cells.image].double())
    return torch.full((len(truth),), 180.0).double().scatter_reduce(0, cells.image, distance, "amin")


def turned(rotation: torch.Tensor, degrees: float, generator: torch.Generator) -> torch.Tensor:
    """The rotations, each turned by an angle about an axis of its own."""
    axes = torch.nn.functional.normalize(torch.randn(len(rotation), 3, generator=generator).to(rotation), dim=-1)
    return rotvec_to_matrix(axes * math.radians(degrees)) @ rotation


def one_candidate_each(rotation: torch.Tensor) -> Candidates:
    image = torch.arange(len(rotation))
    return Candidates(image, torch.zeros_like(image), rotation, torch.zeros(len(rotation), 2))


def test_the_truth_is_among_the_candidates(clear_set: PhantomSet) -> None:
    cells = searched(clear_set, clear_set.everything)
    counts = torch.bincount(cells.image, minlength=len(clear_set.source))
    assert 1 <= int(counts.min()) <= int(counts.max()) <= SEARCH.cells
    assert torch.equal(cells.image, cells.image.sort().values)
    distance = nearest(cells, clear_set.poses.rotations)
    assert float((distance < coarse_spacing(15)).double().mean()) > 0.9
    offset = (cells.centre - clear_set.poses.shifts[cells.image]).norm(dim=1)
    best = angular_distance(cells.rotation.double(), clear_set.poses.rotations[cells.image].double())
    assert float(offset[best == distance[cells.image]].median()) < SEARCH.shift_step


def test_images_are_numbered_as_asked_for_whatever_the_batches(
    clear_set: PhantomSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = torch.tensor([3, 8, 9, 20, 77, 150, 199])
    whole = searched(clear_set, index)
    assert float(nearest(whole, clear_set.poses.rotations[index]).median()) < coarse_spacing(15)
    monkeypatch.setattr(global_search, "BATCH", 3)
    parts = searched(clear_set, index)
    for name in Candidates.__slots__:
        assert torch.equal(getattr(parts, name), getattr(whole, name))


def test_the_grid_is_turned_by_the_generator(clear_set: PhantomSet) -> None:
    index = torch.arange(5)
    first, again, other = (searched(clear_set, index, seed) for seed in (1, 1, 2))
    assert torch.equal(first.rotation, again.rotation)
    grid = coarse_grid(15, 1, first.rotation)[0]

    def off_grid(cells: Candidates) -> float:
        return float((cells.rotation[:, None] - grid).norm(dim=(-2, -1)).amin(1).median())

    assert off_grid(first) > 0.01
    assert off_grid(other) > 0.01
    assert not any((other.rotation - rotation).norm(dim=(-2, -1)).amin() < 1e-3 for rotation in first.rotation)


@settings(deadline=None, max_examples=60)
@given(degrees=st.floats(0, 90), tolerance=st.floats(1, 80), part=st.integers(0, 12), seed=st.integers(0, 2**16))
def test_what_moved_is_what_was_turned_too_far(degrees: float, tolerance: float, part: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    known = random_rotations(12, generator)
    fresh = known.clone()
    fresh[:part] = turned(known[:part], degrees, generator)
    expected = part / 12 if degrees > tolerance + 1e-3 else 0.0
    if abs(degrees - tolerance) > 1e-3:
        assert moved_fraction(one_candidate_each(fresh), known, tolerance) == pytest.approx(expected)


def test_an_image_stays_if_any_of_its_candidates_does(generator: torch.Generator) -> None:
    known = random_rotations(4, generator)
    far = turned(known, 60, generator)
    # images 0 and 2 have one near candidate among two; image 3 has none at all
    image = torch.tensor([0, 0, 1, 1, 2, 2])
    rotation = torch.stack([far[0], known[0], far[1], far[1], turned(known, 3, generator)[2], far[2]])
    cells = Candidates(image, torch.zeros_like(image), rotation, torch.zeros(6, 2))
    assert moved_fraction(cells, known, 10.0) == pytest.approx(2 / 4)


@settings(deadline=None, max_examples=50)
@given(spacing=st.floats(3, 60), diameter=st.floats(10, 200), box=st.integers(32, 400))
def test_a_step_of_the_grid_is_two_cells_of_the_particle_at_the_resolvable_radius(
    spacing: float, diameter: float, box: int
) -> None:
    radius = resolvable_radius(spacing, diameter, box)
    assert coarse_spacing(spacing) <= spacing
    assert radius * math.radians(coarse_spacing(spacing)) == pytest.approx(2 * box / diameter)
