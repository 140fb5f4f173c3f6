"""Parts of a reproduction: made once, made anew when what they depend on changed."""

from pathlib import Path

import pytest
import torch

from cryorbit.studies.kept import keep


def test_a_part_is_made_once_for_the_same_inputs(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, object]:
        made.append(1)
        return {"values": torch.tensor([1.0, torch.inf], dtype=torch.float64), "name": "x", "list": [[1, 2.5, "y"]]}

    first, again = (keep(tmp_path, "SVRG+II, as printed", (3, "a"), make) for _ in range(2))
    assert len(made) == 1
    assert torch.equal(first["values"], again["values"])
    assert first["list"] == again["list"]
    keep(tmp_path, "SVRG+II, as printed", (4, "a"), make)
    keep(tmp_path, "another", (4, "a"), make)
    assert len(made) == 3


def test_a_part_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep(tmp_path, "part", (), fail)
    assert keep(tmp_path, "part", (), lambda: 5) == 5
