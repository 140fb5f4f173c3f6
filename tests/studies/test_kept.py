"""Parts of a study: made once, made anew when what they depend on changed or their file is damaged."""

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
    assert torch.equal(first.part["values"], again.part["values"])
    assert first.part["list"] == again.part["list"]
    assert first.seconds == again.seconds
    keep(tmp_path, "SVRG+II, as printed", (4, "a"), make)
    keep(tmp_path, "another", (4, "a"), make)
    assert len(made) == 3


def test_a_part_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep(tmp_path, "part", (), fail)
    assert keep(tmp_path, "part", (), lambda: 5).part == 5


def test_a_part_whose_file_is_damaged_is_made_again(tmp_path: Path) -> None:
    keep(tmp_path, "part", (), lambda: 5)
    (file,) = (tmp_path / "checkpoint").iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    assert keep(tmp_path, "part", (), lambda: 6).part == 6
