"""Results that are kept in files whose reader does not know what they are."""

import pytest
import torch

from cryorbit.core.tagged import tag, untag
from cryorbit.geometry.rotations import random_rotations
from cryorbit.inference.candidates import Candidates

CPU = torch.device("cpu")


def test_what_is_kept_comes_back_as_what_it_was(generator: torch.Generator) -> None:
    numbers = torch.arange(4)
    cells = Candidates(numbers, numbers % 2, random_rotations(4, generator).float(), torch.zeros(4, 2))
    back = untag(tag([(cells, 3.5, None), ("word", True, [])]), CPU)
    assert isinstance(back[0][0], Candidates)
    assert torch.equal(back[0][0].rotation, cells.rotation)
    assert back[0][1:] == (3.5, None)
    assert back[1] == ("word", True, [])


def test_what_cannot_be_kept_is_told() -> None:
    with pytest.raises(TypeError, match="type set"):
        tag({1, 2})


@pytest.mark.parametrize("kind", ["os:system", "cryorbit.cli.main:main", "cryorbit.core.data:nothing", "cryorbitx.y:Z"])
def test_a_file_names_nothing_but_records_of_the_package(kind: str) -> None:
    with pytest.raises(ValueError, match="not a kind of result"):
        untag({"kind": kind, "value": {}}, CPU)
