"""``cryorbit compare``: numbers, files, and what it says of maps that cannot be compared."""

import json
from pathlib import Path

import pytest
import torch

from cryorbit.cli.main import main
from cryorbit.core.errors import InputError
from cryorbit.evaluation.band_limit import without_shells_beyond
from cryorbit.evaluation.rigid_motion import move_map
from cryorbit.fourier.resampling import resampled
from cryorbit.geometry.rotations import random_rotations
from cryorbit.imaging.masks import soft_ball
from cryorbit.io.mrc import read_map, write_map
from cryorbit.recipes.compare import CompareConfig, regridding, run
from cryorbit.simulate.phantoms import random_blob_phantom

PIXEL_SIZE = 3.0
KEYS = {"resolution_fsc05_A", "resolution_fsc0143_A", "hand_flipped", "rotation", "shift_A", "cc", "fsc"}


@pytest.fixture
def pair(tmp_path: Path, generator: torch.Generator) -> CompareConfig:
    """A phantom and the same phantom mirrored and moved."""
    volume = random_blob_phantom(24, generator)
    moving = move_map(volume, random_rotations(1, generator)[0], torch.tensor([1.0, 2.0, 0.0]), mirrored=True)
    write_map(tmp_path / "reference.mrc", volume, PIXEL_SIZE)
    write_map(tmp_path / "moving.mrc", moving, PIXEL_SIZE)
    return CompareConfig(moving=tmp_path / "moving.mrc", reference=tmp_path / "reference.mrc")


def test_command_writes_numbers_and_the_map(pair: CompareConfig, tmp_path: Path, capsys) -> None:
    numbers, aligned = tmp_path / "numbers.json", tmp_path / "aligned.mrc"
    main(["compare", str(pair.moving), str(pair.reference), "--json", str(numbers), "-o", str(aligned)])
    assert "mirrored" in capsys.readouterr().out
    record = json.loads(numbers.read_text())
    assert set(record) == KEYS
    assert record["hand_flipped"] is True
    assert record["cc"] > 0.999
    assert record["resolution_fsc05_A"] == pytest.approx(2 * PIXEL_SIZE, rel=0.1)
    assert record["fsc"][0][0] == 0.0
    assert record["fsc"][-1][0] == pytest.approx(1 / (2 * PIXEL_SIZE))
    assert torch.tensor(record["rotation"]).shape == (3, 3)
    written, pixel_size = read_map(aligned)
    assert pixel_size == pytest.approx(PIXEL_SIZE)
    assert float((written - read_map(pair.reference)[0]).abs().max()) < 0.02


def test_mask_limits_the_measure(pair: CompareConfig, tmp_path: Path) -> None:
    reference, _ = read_map(pair.reference)
    spoilt = reference.clone()
    spoilt[:4, :4, :4] += 2.0
    write_map(tmp_path / "spoilt.mrc", spoilt, PIXEL_SIZE)
    mask = torch.ones_like(reference)
    mask[:8, :8, :8] = 0.0
    write_map(tmp_path / "mask.mrc", mask, PIXEL_SIZE)
    config = pair.model_copy(update={"moving": tmp_path / "spoilt.mrc"})
    assert run(config).cc < 0.9
    assert run(config.model_copy(update={"mask": tmp_path / "mask.mrc"})).cc > 0.995


@pytest.mark.parametrize(
    ("which", "volume", "problem"),
    [
        ("reference", torch.rand(23, 23, 23), "not an even cube"),
        ("reference", torch.rand(22, 24, 24), "not an even cube"),
        ("reference", torch.ones(24, 24, 24), "constant"),
        ("moving", torch.ones(24, 24, 24), "constant"),
        ("mask", torch.zeros(24, 24, 24), "empty"),
    ],
)
def test_unfit_maps_are_refused(
    which: str, volume: torch.Tensor, problem: str, pair: CompareConfig, tmp_path: Path
) -> None:
    write_map(tmp_path / "unfit.mrc", volume, PIXEL_SIZE)
    with pytest.raises(InputError, match=problem) as caught:
        run(pair.model_copy(update={which: tmp_path / "unfit.mrc"}))
    assert "unfit.mrc" in str(caught.value)
    assert caught.value.fix


def test_mask_outside_0_to_1_is_refused(pair: CompareConfig, tmp_path: Path) -> None:
    write_map(tmp_path / "mask.mrc", 3 * torch.rand(24, 24, 24), PIXEL_SIZE)
    with pytest.raises(InputError, match="mask has values"):
        run(pair.model_copy(update={"mask": tmp_path / "mask.mrc"}))


def test_slightly_rounded_pixel_sizes_are_the_same(pair: CompareConfig, tmp_path: Path) -> None:
    write_map(tmp_path / "rounded.mrc", read_map(pair.moving)[0], 1.004 * PIXEL_SIZE)
    assert run(pair.model_copy(update={"moving": tmp_path / "rounded.mrc"})).cc > 0.999


def test_inside_a_mask_maps_agree_no_finer_than_they_hold_data(tmp_path: Path, generator: torch.Generator) -> None:
    """The mask carries what the maps share into shells in which they hold nothing."""
    cut = without_shells_beyond(random_blob_phantom(24, generator), 5)
    for name, volume in (("moving", cut), ("reference", cut), ("mask", (soft_ball(24, 6, 1) > 0.5).float())):
        write_map(tmp_path / f"{name}.mrc", volume, PIXEL_SIZE)
    files = {name: tmp_path / f"{name}.mrc" for name in ("moving", "reference", "mask")}
    assert run(CompareConfig(**files)).resolution(0.143) >= 24 * PIXEL_SIZE / 5 * 0.999


def test_a_map_of_another_grid_is_brought_to_that_of_the_reference(pair: CompareConfig, tmp_path: Path) -> None:
    """Voxels a third smaller in a box of another extent, and a header that says nothing."""
    volume = read_map(pair.moving)[0]
    write_map(tmp_path / "finer.mrc", resampled(volume, 3, 40, 2 / 3), 2 / 3 * PIXEL_SIZE)
    write_map(tmp_path / "unset.mrc", volume, 0.0)
    expected = run(pair).cc
    for name, words in {"finer": "resampled from 40 voxels of 2 Å to 24 of 3 Å", "unset": "3 Å is used"}.items():
        config = pair.model_copy(update={"moving": tmp_path / f"{name}.mrc"})
        assert run(config).cc == pytest.approx(expected, abs=0.01)
        assert words in regridding(config)[0]
    assert regridding(pair) == []


@pytest.mark.parametrize("stated", [0.0, 1.0])
def test_a_reference_that_says_nothing_has_the_pixels_of_the_other(
    pair: CompareConfig, tmp_path: Path, stated: float
) -> None:
    write_map(tmp_path / "unset.mrc", read_map(pair.reference)[0], stated)
    config = pair.model_copy(update={"reference": tmp_path / "unset.mrc", "output": tmp_path / "moved.mrc"})
    found, expected = run(config), run(pair)
    assert (found.cc, found.resolution(0.5)) == pytest.approx((expected.cc, expected.resolution(0.5)))
    assert regridding(config) == [
        f"unset.mrc: its header states {stated:g} Å per voxel, which stands for unknown; 3 Å is used"
    ]
    assert read_map(tmp_path / "moved.mrc")[1] == PIXEL_SIZE


def test_two_maps_that_say_nothing_are_refused(pair: CompareConfig) -> None:
    for file in (pair.moving, pair.reference):
        write_map(file, read_map(file)[0], 0.0)
    with pytest.raises(InputError, match="neither map states its voxel size"):
        run(pair)


def test_two_results_are_two_files(pair: CompareConfig, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    config = pair.model_copy(update={"output": tmp_path / "new", "json_file": tmp_path / "link" / "new"})
    with pytest.raises(InputError, match="two results would be written to this file"):
        run(config)
    assert not (tmp_path / "new").exists()


def test_a_mask_of_ones_masks_nothing(pair: CompareConfig, tmp_path: Path) -> None:
    write_map(tmp_path / "ones.mrc", torch.ones(24, 24, 24), PIXEL_SIZE)
    assert run(pair.model_copy(update={"mask": tmp_path / "ones.mrc"})).cc == pytest.approx(run(pair).cc)
