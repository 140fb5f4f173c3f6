"""Resampling: what a reconstruction from the new images gives is the map on the new pixels."""

from pathlib import Path

import mrcfile
import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set

from cryorbit.cli.main import main
from cryorbit.core.errors import InputError
from cryorbit.fourier.resampling import resampled
from cryorbit.io.mrc import read_header, read_map, write_map
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.resample import ResampleConfig, run
from phantom_sets import sharp_phantom

BOX, COUNT = 32, 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resample")
    make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], COUNT, 1.0)
    return folder


def test_images_go_with_all_that_counts_in_pixels(folder: Path, tmp_path: Path) -> None:
    tables = read_star(folder / "truth.star")
    # shifts in pixels, as RELION 3.0 has them
    for axis in "XY":
        tables["particles"][f"rlnOrigin{axis}"] = (
            tables["particles"].pop(f"rlnOrigin{axis}Angst").astype(float) / PIXEL_SIZE
        )
        tables["particles"][f"rlnCoordinate{axis}"] = 100.5
    write_star(folder / "pixels.star", tables)
    before = read_particles(folder / "pixels.star")
    found = run(ResampleConfig(source=folder / "pixels.star", target=tmp_path / "b.star", pixel_size=7.0, box=20))
    assert found.files == (tmp_path / "b.star", tmp_path / "b.mrcs")
    after = read_particles(tmp_path / "b.star")
    assert (after.box, after.pixel_size, len(after)) == (20, 7.0, COUNT)
    assert before.poses is not None
    assert after.poses is not None
    torch.testing.assert_close(after.poses.shifts * 7.0, before.poses.shifts * PIXEL_SIZE, rtol=0, atol=1e-4)
    torch.testing.assert_close(after.ctf.defocus_u, before.ctf.defocus_u)
    assert set(after.table["rlnCoordinateX"].astype(float)) == {100.5}
    index = torch.arange(COUNT)
    wanted = 1.4 * resampled(before.images.read(index), 2, 20, 1.4)
    torch.testing.assert_close(after.images.read(index), wanted, rtol=0, atol=1e-5)
    with mrcfile.open(tmp_path / "b.mrcs", permissive=True) as stack:
        assert stack.is_image_stack()
        assert float(stack.voxel_size.x) == pytest.approx(7.0)


def test_noise_keeps_its_power(folder: Path, tmp_path: Path) -> None:
    """White noise of standard deviation 1 is that on larger pixels, too."""
    with mrcfile.open(folder / "particles.mrcs", "r+") as stack:
        kept = stack.data.copy()
        stack.data[:] = torch.randn(kept.shape, generator=torch.Generator().manual_seed(1)).numpy()
    run(ResampleConfig(source=folder / "particles.star", target=tmp_path / "n.star", pixel_size=2 * PIXEL_SIZE))
    images = read_particles(tmp_path / "n.star").images.read(torch.arange(COUNT))
    with mrcfile.open(folder / "particles.mrcs", "r+") as stack:
        stack.data[:] = kept
    # the crop leaves out the coefficients at the new Nyquist frequency
    assert float(images.std()) == pytest.approx((15 / 16), abs=0.02)


@pytest.mark.parametrize(
    ("changes", "label", "kept"),
    [
        ({"pixel_size": 2.5}, None, 2 * PIXEL_SIZE),
        ({"pixel_size": 2.5}, 20.0, 20.0),
        ({"pixel_size": 7.5}, 20.0, 20.0),
        ({"pixel_size": 12.0}, 20.0, None),
        ({"box": 40}, 20.0, 20.0),
    ],
)
def test_maps_keep_how_far_they_hold_data(
    folder: Path, tmp_path: Path, changes: dict[str, float], label: float | None, kept: float | None
) -> None:
    write_map(tmp_path / "map.mrc", read_map(folder / "truth_1.mrc")[0], PIXEL_SIZE, label)
    run(ResampleConfig(source=tmp_path / "map.mrc", target=tmp_path / "new.mrc", **changes))
    header = read_header(tmp_path / "new.mrc")
    assert header.holds_to_A == (None if kept is None else pytest.approx(kept))
    assert header.pixel_size[0] == pytest.approx(changes.get("pixel_size", PIXEL_SIZE))


@pytest.mark.parametrize(
    ("source", "target", "changes", "problem"),
    [
        ("truth_1.mrc", "a.mrc", {}, "nothing to change"),
        ("truth_1.mrc", "a.mrc", {"box": 31}, "an odd number"),
        ("truth_1.mrc", "a.star", {"box": 40}, "another ending"),
        ("truth_1.mrc", "truth_1.mrc", {"box": 40}, "the file exists"),
        ("truth.star", "truth.star", {"box": 30}, "the file exists"),
        ("truth.star", "a.star", {"pixel_size": 4.0}, "cannot be resampled to 4 Å"),
        ("truth.star", "a.star", {"box": 40}, "160 Å wide, a box of 40 pixels would be 200 Å"),
    ],
)
def test_what_cannot_be_made_is_refused(
    folder: Path, source: str, target: str, changes: dict[str, float], problem: str
) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(InputError, match=problem) as caught:
        run(ResampleConfig(source=folder / source, target=folder / target, **changes))
    assert caught.value.fix
    assert sorted(folder.iterdir()) == before


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["resample", str(folder / "truth_1.mrc"), str(tmp_path / "small.mrc"), "--box", "24", "--pixel-size", "6"])
    assert capsys.readouterr().out.startswith("from 32 pixels of 5 Å to 24 pixels of 6 Å\nwrote ")
    volume, pixel_size = read_map(tmp_path / "small.mrc")
    assert (volume.shape, pixel_size) == ((24, 24, 24), 6.0)


@pytest.mark.parametrize("stated", [0.0, 1.0])
def test_the_old_pixel_size_can_be_told(tmp_path: Path, generator: torch.Generator, stated: float) -> None:
    volume = torch.randn(16, 16, 16, generator=generator)
    write_map(tmp_path / "right.mrc", volume, 2.0)
    write_map(tmp_path / "wrong.mrc", volume, stated)
    run(ResampleConfig(source=tmp_path / "right.mrc", target=tmp_path / "a.mrc", pixel_size=4.0))
    told = {"source_pixel_size": 2.0, "pixel_size": 4.0}
    run(ResampleConfig(source=tmp_path / "wrong.mrc", target=tmp_path / "b.mrc", **told))
    assert (tmp_path / "a.mrc").read_bytes() == (tmp_path / "b.mrc").read_bytes()
    with pytest.raises(InputError, match="is stated in their table"):
        run(ResampleConfig(source=tmp_path / "particles.star", target=tmp_path / "c.star", **told))
