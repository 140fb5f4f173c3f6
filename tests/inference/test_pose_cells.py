"""Cells of poses by hand: which survive, what caps take away, and that children around one shift stand together."""

import pytest
import torch

from cryorbit.geometry.rotations import random_rotations
from cryorbit.geometry.so3_grid import subdivide
from cryorbit.inference.candidates import Candidates, CandidateScores
from cryorbit.inference.pose_cells import PoseCells, best_cells, capped, children, poses_of, surviving, whole_grid

LATTICE = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
KEPT = torch.tensor([[0, 0], [0, 2], [1, 0], [2, 1], [3, 0]])
"""Candidate and lattice point of the scores of ``scores`` that are above 0."""


@pytest.fixture
def cells(generator: torch.Generator) -> PoseCells:
    """Three candidates of one image, of which two share a centre, and one of another."""
    image, klass = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 0, 0])
    centre = torch.tensor([[0.0, 0.0], [0.0, 0.0], [10.0, 0.0], [0.0, 20.0]])
    candidates = Candidates(image, klass, random_rotations(4, generator).float(), centre)
    return PoseCells(candidates, torch.tensor([5, 6, 7, 5]), torch.tensor([0, 0, 1, 2]))


def scores() -> CandidateScores:
    return CandidateScores(torch.tensor([[5.0, -1, 4], [3, -1, -1], [-1, 9, -1], [1, -1, -1]]), LATTICE)


def test_the_whole_grid_is_every_image_in_every_class_and_rotation(generator: torch.Generator) -> None:
    rotations = random_rotations(4, generator).float().unflatten(0, (2, 2))
    grid = whole_grid(rotations, 3)
    assert grid.candidates.image.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert grid.candidates.klass.tolist() == [0, 0, 1, 1] * 3
    assert grid.orientation.tolist() == [0, 1, 2, 3] * 3
    assert torch.equal(grid.centre, grid.candidates.image)
    assert torch.equal(grid.candidates.rotation, rotations.flatten(0, 1).repeat(3, 1, 1))
    assert not grid.candidates.centre.any()


def test_the_best_cell_is_the_first_of_equal_ones(cells: PoseCells) -> None:
    best, where = best_cells(cells, scores(), 2)
    assert best.tolist() == [9, 1]
    assert where.tolist() == [[2, 1], [3, 0]]
    level = CandidateScores(torch.ones(4, 3), LATTICE)
    assert best_cells(cells, level, 2)[1].tolist() == [[0, 0], [3, 0]]


def test_cells_survive_from_the_least_score_of_their_image_on(cells: PoseCells) -> None:
    assert torch.equal(surviving(cells, scores(), torch.zeros(2)), KEPT)
    assert surviving(cells, scores(), torch.tensor([5.0, 2.0])).tolist() == [[0, 0], [2, 1]]


@pytest.mark.parametrize(
    ("most", "kept", "bites"),
    [
        ((1, 2), [[2, 1], [3, 0]], [[True, True], [False, False]]),
        ((2, 3), [[0, 0], [0, 2], [2, 1], [3, 0]], [[True, False], [False, False]]),
        # the first and the third of the kept have one shift
        ((3, 2), [[0, 0], [1, 0], [2, 1], [3, 0]], [[False, True], [False, False]]),
        ((3, 3), KEPT.tolist(), [[False, False], [False, False]]),
    ],
)
def test_caps_keep_the_best_orientations_and_shifts_of_each_image(
    cells: PoseCells, most: tuple[int, int], kept: list[list[int]], bites: list[list[bool]]
) -> None:
    found, took = capped(cells, scores(), KEPT, most)
    assert found.tolist() == kept
    assert took.tolist() == bites


def test_poses_add_the_lattice_to_their_centres(cells: PoseCells) -> None:
    poses = poses_of(cells, LATTICE, KEPT)
    assert poses.centre.tolist() == [[0, 0], [0, 1], [0, 0], [11, 0], [0, 20]]
    assert poses.image.tolist() == [0, 0, 0, 0, 1]
    assert poses.klass.tolist() == [0, 0, 1, 0, 0]


def test_children_of_one_shift_stand_together(cells: PoseCells) -> None:
    born = children(cells, LATTICE, KEPT, 10.0)
    families = KEPT[[0, 2, 1, 3, 4]]
    assert born.centre.tolist() == [number for number in (0, 0, 1, 2, 3) for _ in range(8)]
    parents = [5, 6, 5, 7, 5]
    assert born.orientation.tolist() == [8 * parent + child for parent in parents for child in range(8)]
    expected = poses_of(cells, LATTICE, families)
    assert torch.equal(born.candidates.rotation, subdivide(expected.rotation, 10.0).flatten(0, 1))
    for name in ("image", "klass", "centre"):
        assert torch.equal(getattr(born.candidates, name), getattr(expected, name).repeat_interleave(8, 0))
