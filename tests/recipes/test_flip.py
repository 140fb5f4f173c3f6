"""The other hand: what flipped poses reconstruct is the flipped map."""

from pathlib import Path

import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set

from cryorbit.cli.main import main
from cryorbit.core.errors import InputError
from cryorbit.core.progress import SilentProgress
from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.io.mrc import read_header, read_map, write_map
from cryorbit.recipes.flip import FlipConfig, mirrored, run
from cryorbit.recipes.reconstruct import ReconstructConfig
from cryorbit.recipes.reconstruct import run as reconstruct
from phantom_sets import sharp_phantom

COUNT = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flip")
    make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], COUNT, 1.0)
    return folder


def reconstructed(particles: Path, output: Path) -> torch.Tensor:
    config = ReconstructConfig(particles=particles, output=output, diameter=100.0)
    job = JobFolder.create(output, verb="reconstruct", config=config.model_dump(mode="json"), inputs=[particles])
    with running(job):
        reconstruct(config, job, SilentProgress())
    return read_map(output / "map.mrc")[0]


def test_flipped_poses_make_the_flipped_map(folder: Path, tmp_path: Path) -> None:
    run(FlipConfig(sources=(folder / "truth.star", folder / "truth_1.mrc"), output=tmp_path / "flipped"))
    straight = reconstructed(folder / "truth.star", tmp_path / "straight")
    flipped = reconstructed(tmp_path / "flipped" / "truth.star", tmp_path / "mirrored")
    # the plane at the edge has no mirror image
    torch.testing.assert_close(flipped[1:], straight.flip(0)[:-1], rtol=0, atol=1e-3 * float(straight.max()))
    truth, _ = read_map(tmp_path / "flipped" / "truth_1.mrc")
    assert float(fourier_shell_correlation(flipped, truth)[1:8].min()) > 0.9
    assert float(fourier_shell_correlation(straight, truth)[1:8].min()) < 0.7


def test_twice_is_never(generator: torch.Generator) -> None:
    for size in (8, 9):
        volume = torch.randn(size, size, size, generator=generator)
        assert torch.equal(mirrored(mirrored(volume)), volume)
        assert torch.equal(mirrored(volume)[size // 2], volume[size // 2])


def test_the_label_of_a_map_goes_with_it(tmp_path: Path, generator: torch.Generator) -> None:
    write_map(tmp_path / "map.mrc", torch.randn(8, 8, 8, generator=generator), 2.0, 9.0)
    run(FlipConfig(sources=(tmp_path / "map.mrc",), output=tmp_path / "out"))
    header = read_header(tmp_path / "out" / "map.mrc")
    assert (header.holds_to_A, header.pixel_size[0]) == (pytest.approx(9.0), pytest.approx(2.0))


def test_a_map_that_states_no_voxel_size_is_flipped(tmp_path: Path, generator: torch.Generator) -> None:
    volume = torch.randn(8, 8, 8, generator=generator)
    write_map(tmp_path / "map.mrc", volume, 0.0)
    run(FlipConfig(sources=(tmp_path / "map.mrc",), output=tmp_path / "out"))
    flipped, pixel_size = read_map(tmp_path / "out" / "map.mrc", unstated=0.0)
    assert (torch.equal(flipped, mirrored(volume)), pixel_size) == (True, 0.0)


def test_what_has_no_hand_is_refused_before_anything_is_written(folder: Path, tmp_path: Path) -> None:
    for sources, problem in (
        (("truth_1.mrc", "particles.star"), "have no poses"),
        (("truth_1.mrc", "particles.mrcs"), "neither a map nor"),
        (("truth_1.mrc", "truth_1.mrc"), "two files would get this name"),
    ):
        with pytest.raises(InputError, match=problem):
            run(FlipConfig(sources=tuple(folder / name for name in sources), output=tmp_path / "out"))
        assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="there is nothing to flip"):
        run(FlipConfig(sources=(), output=tmp_path / "out"))
    with pytest.raises(InputError, match="the file exists"):
        run(FlipConfig(sources=(folder / "truth_1.mrc",), output=folder))


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["flip", str(folder / "truth_1.mrc"), "-o", str(tmp_path / "out")])
    assert capsys.readouterr().out.strip().endswith("truth_1.mrc")
    assert read_map(tmp_path / "out" / "truth_1.mrc")[1] == PIXEL_SIZE


def test_nothing_is_written_where_a_later_map_cannot_be_read(tmp_path: Path, generator: torch.Generator) -> None:
    volumes = torch.randn(2, 8, 8, 8, generator=generator)
    for name, volume in zip(("a.mrc", "b.mrc"), volumes, strict=True):
        write_map(tmp_path / name, volume, 2.0)
    whole = bytearray((tmp_path / "b.mrc").read_bytes())
    whole[-4:] = b"\x00\x00\xc0\x7f"
    (tmp_path / "b.mrc").write_bytes(whole)
    with pytest.raises(InputError, match=r"b\.mrc"):
        run(FlipConfig(sources=(tmp_path / "a.mrc", tmp_path / "b.mrc"), output=tmp_path / "flipped"))
    assert not (tmp_path / "flipped").exists()
