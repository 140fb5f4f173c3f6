"""Maps and headers: modes, byte orders, voxel sizes, axes."""

import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.mrc import read_header, read_map, write_map


def test_a_map_round_trips_and_says_what_it_is(tmp_path: Path, generator: torch.Generator) -> None:
    volume = torch.randn(4, 6, 8, generator=generator)
    write_map(tmp_path / "map.mrc", volume, 1.37)
    back, pixel_size = read_map(tmp_path / "map.mrc")
    assert back.dtype == torch.float32
    assert torch.equal(back, volume)
    assert pixel_size == pytest.approx(1.37, rel=1e-6)
    assert mrcfile.validate(tmp_path / "map.mrc")
    with mrcfile.open(tmp_path / "map.mrc") as file:
        assert file.is_volume()
        assert file.voxel_size.z == pytest.approx(1.37, rel=1e-6)
        assert [float(file.header.origin[axis]) for axis in "xyz"] == [0, 0, 0]
        assert [int(file.header[name]) for name in ("nxstart", "nystart", "nzstart")] == [0, 0, 0]


def test_the_same_map_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mrc", "b.mrc"):
        write_map(tmp_path / name, torch.ones(4, 4, 4, dtype=torch.float64), 2.0)
    assert (tmp_path / "a.mrc").read_bytes() == (tmp_path / "b.mrc").read_bytes()


def test_a_failed_write_leaves_the_old_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_map(tmp_path / "map.mrc", torch.ones(4, 4, 4), 2.0)

    def full(_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("mrcfile.mrcfile.MrcFile.set_volume", full)
    with pytest.raises(OSError, match="no space left"):
        write_map(tmp_path / "map.mrc", torch.zeros(4, 4, 4), 2.0)
    assert torch.equal(read_map(tmp_path / "map.mrc")[0], torch.ones(4, 4, 4))
    assert [path.name for path in tmp_path.iterdir()] == ["map.mrc"]


@pytest.mark.parametrize("name", ["particles.mrcs", "cube.mrc"])
def test_a_stack_is_no_map(tmp_path: Path, name: str) -> None:
    with mrcfile.new(tmp_path / name) as file:
        file.set_data(np.ones((4, 4, 4), np.float32))
        if name == "cube.mrc":
            file.set_image_stack()
        file.voxel_size = 2.0
    with pytest.raises(InputError, match="a stack of 4 images of 4 x 4 pixels, not a map") as caught:
        read_map(tmp_path / name)
    assert "the table that names their images" in (caught.value.fix or "")


def test_an_image_is_no_map(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "image.mrc") as file:
        file.set_data(np.ones((4, 4), np.float32))
        file.voxel_size = 2.0
    with pytest.raises(InputError, match="one image of 4 x 4 pixels, not a map"):
        read_map(tmp_path / "image.mrc")


def test_a_map_with_the_space_group_of_a_stack_is_one(tmp_path: Path) -> None:
    write_map(tmp_path / "map.mrc", torch.ones(4, 4, 4), 2.0)
    with mrcfile.mmap(tmp_path / "map.mrc", "r+") as file:
        file.header.ispg = 0
    assert read_map(tmp_path / "map.mrc")[1] == 2.0


@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12])
@pytest.mark.parametrize("order", ["<", ">"])
def test_modes_in_both_byte_orders(tmp_path: Path, mode: int, order: str) -> None:
    dtype = np.dtype({0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}[mode]).newbyteorder(order)
    values = (np.arange(64).reshape(4, 4, 4) + (0 if mode == 6 else -20)).astype(dtype)
    with mrcfile.new(tmp_path / "map.mrc") as file:
        file.set_data(values)
        file.voxel_size = 1.5
    assert read_header(tmp_path / "map.mrc").dtype.itemsize == dtype.itemsize
    volume, pixel_size = read_map(tmp_path / "map.mrc")
    np.testing.assert_array_equal(volume.numpy(), values.astype(np.float32))
    assert pixel_size == pytest.approx(1.5)


def test_axes_in_another_order(tmp_path: Path, rng: np.random.Generator) -> None:
    volume = rng.normal(size=(4, 6, 8)).astype(np.float32)  # z y x
    with mrcfile.new(tmp_path / "map.mrc") as file:
        file.set_data(np.ascontiguousarray(volume.transpose(2, 0, 1)))  # sections x, rows z, columns y
        file.header.mapc, file.header.mapr, file.header.maps = 2, 3, 1
        file.header.cella = (8.0, 6.0, 4.0)
        file.header.mx, file.header.my, file.header.mz = 8, 6, 4
    np.testing.assert_array_equal(read_map(tmp_path / "map.mrc")[0].numpy(), volume)


def test_voxel_size_is_cell_over_grid(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "map.mrc") as file:
        file.set_data(np.zeros((4, 4, 4), np.float32))
        file.header.mx = file.header.my = file.header.mz = 8  # a grid finer than the box
        file.header.cella = (24.0, 24.0, 24.0)
    assert read_map(tmp_path / "map.mrc")[1] == pytest.approx(3.0)


def test_the_extended_header_is_skipped(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "map.mrc") as file:
        file.set_data(np.full((2, 2, 2), 7, np.float32))
        file.set_extended_header(np.zeros(300, "V1"))
        file.voxel_size = 1
    assert torch.equal(read_map(tmp_path / "map.mrc")[0], torch.full((2, 2, 2), 7.0))


def test_headers_without_magic_word_and_stamp_are_read(tmp_path: Path) -> None:
    write_map(tmp_path / "map.mrc", torch.ones(4, 4, 4), 2.0)
    content = bytearray((tmp_path / "map.mrc").read_bytes())
    content[208:216] = bytes(8)
    (tmp_path / "map.mrc").write_bytes(content)
    assert torch.equal(read_map(tmp_path / "map.mrc")[0], torch.ones(4, 4, 4))


def _edited(path: Path, **fields: object) -> None:
    with mrcfile.open(path, "r+") as file:
        for name, value in fields.items():
            file.header[name] = value


def test_damaged_maps_are_refused(tmp_path: Path) -> None:
    """No file, junk, cut short, an impossible size, complex values, no voxel size, a skewed voxel, NaN."""
    good = tmp_path / "good.mrc"
    write_map(good, torch.ones(4, 4, 4), 2.0)
    names = ["junk", "short", "negative", "complex", "no_size", "skewed", "nan"]
    files = {name: tmp_path / f"{name}.mrc" for name in names}
    for file in files.values():
        file.write_bytes(good.read_bytes())
    files["junk"].write_bytes(b"not a map")
    files["short"].write_bytes(good.read_bytes()[:-1])
    _edited(files["negative"], nx=-4)
    _edited(files["complex"], mode=4)
    _edited(files["no_size"], cella=(0, 0, 0))
    _edited(files["skewed"], cella=(8, 8, 9))
    files["nan"].write_bytes(good.read_bytes()[:-4] + np.float32(np.nan).tobytes())
    for file in [*files.values(), tmp_path / "absent.mrc"]:
        with pytest.raises(InputError, match=file.name) as caught:
            read_map(file)
        assert caught.value.fix


def test_how_far_a_map_holds_data_goes_with_the_file(tmp_path: Path) -> None:
    write_map(tmp_path / "map.mrc", torch.rand(4, 4, 4), 2.0, 24.00004)
    shutil.copyfile(tmp_path / "map.mrc", tmp_path / "elsewhere.mrc")
    assert read_header(tmp_path / "elsewhere.mrc").holds_to_A == pytest.approx(24.0, abs=1e-4)
    assert mrcfile.validate(tmp_path / "elsewhere.mrc")
    with mrcfile.open(tmp_path / "elsewhere.mrc") as file:
        assert int(file.header.nlabl) == 2
    write_map(tmp_path / "map.mrc", torch.rand(4, 4, 4), 2.0)
    assert read_header(tmp_path / "map.mrc").holds_to_A is None


def test_of_several_labels_the_coarsest_counts(tmp_path: Path) -> None:
    write_map(tmp_path / "map.mrc", torch.rand(4, 4, 4), 2.0, 8.0)
    with mrcfile.open(tmp_path / "map.mrc", "r+") as file:
        file.add_label("cryorbit: data to 12.5 A")
        file.add_label("another program: data to 99 A")
    assert read_header(tmp_path / "map.mrc").holds_to_A == 12.5


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("stamp", "flags", "wanted"), [(1146047817, 0, 200), (1146047817, 1, -56), (1146047817, 6, 200), (0, 0, -56)]
)
def test_bytes_are_signed_or_not_as_the_stamp_of_imod_says(
    tmp_path: Path, order: str, stamp: int, flags: int, wanted: int
) -> None:
    file = tmp_path / "bytes.mrc"
    with mrcfile.new(file) as new:
        new.set_data(np.full((8, 8, 8), 200, np.uint8).view(np.int8))
        new.voxel_size = 2.0
        header = new.header.copy()
    swapped = bytearray(np.array(header).astype(header.dtype.newbyteorder(order)).tobytes())
    swapped[152:160] = np.array([stamp, flags], f"{order}i4").tobytes()
    swapped[212:216] = b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0"
    file.write_bytes(bytes(swapped) + file.read_bytes()[1024:])
    volume, pixel_size = read_map(file)
    assert volume.unique().tolist() == [wanted]
    assert pixel_size == 2.0
