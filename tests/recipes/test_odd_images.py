"""Jobs on sets with a few bad images: they finish, name the images, and make the map of the clean set."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from abinit_jobs import PIXEL_SIZE, SHORTEST, make_set, run_job
from test_reconstruct import reconstructed

from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.io.mrc import read_map
from cryorbit.io.star import read_star
from phantom_sets import sharp_phantom

COUNT, BOX = 300, 32
Damage = Callable[[np.ndarray], object]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], COUNT, 1.0)
    return folder


@pytest.fixture(scope="module")
def clean(folder: Path) -> torch.Tensor:
    job, _ = reconstructed(folder / "truth.star", folder / "job")
    return read_map(job.path / "map.mrc")[0]


def damaged(folder: Path, target: Path, damage: Damage) -> Path:
    """The particles with other pixels, in a folder of their own."""
    for table in ("particles.star", "truth.star"):
        (target / table).write_bytes((folder / table).read_bytes())
    content = bytearray((folder / "particles.mrcs").read_bytes())
    damage(np.frombuffer(content, "<f4", offset=1024).reshape(COUNT, BOX, BOX))
    (target / "particles.mrcs").write_bytes(content)
    return target / "truth.star"


def hot(size: float) -> Damage:
    """Damage that adds ``size`` to a pixel of three images."""

    def change(images: np.ndarray) -> None:
        images[[0, 150, 299], [3, 16, 31], [4, 17, 0]] += size

    return change


def raw(images: np.ndarray) -> None:
    images[[0, 150, 299]] = 500 * images[[0, 150, 299]] + 10_000


@pytest.mark.parametrize("damage", [hot(20), hot(-300), hot(1e7), raw], ids=["20", "-300", "1e7", "raw"])
def test_three_bad_images_leave_the_map_as_it_was(
    folder: Path, tmp_path: Path, clean: torch.Tensor, damage: Damage
) -> None:
    job, found = reconstructed(damaged(folder, tmp_path, damage), tmp_path / "job")
    volume, _ = read_map(job.path / "map.mrc")
    assert float(fourier_shell_correlation(volume, clean)[1 : BOX // 2].min()) > 0.99
    named = [note for note in found.notes if "3 images are repaired" in note]
    assert len(named) == 1
    assert all(f"row {row} (000{row:03d}@particles.mrcs)" in named[0] for row in (1, 151, 300))
    listed = read_star(job.path / "repaired.star")["particles"]["rlnImageName"]
    assert [name.partition("@")[0] for name in listed] == ["000001", "000151", "000300"]
    assert found.particles.used == COUNT


@pytest.mark.parametrize("row", [1, 2, COUNT])
def test_one_pixel_that_is_no_number(folder: Path, tmp_path: Path, clean: torch.Tensor, row: int) -> None:
    def damage(images: np.ndarray) -> None:
        images[row - 1, 9, 9] = np.nan

    job, found = reconstructed(damaged(folder, tmp_path, damage), tmp_path / "job")
    volume, _ = read_map(job.path / "map.mrc")
    claimed = round(BOX * PIXEL_SIZE / found.classes[0].resolution_A)
    assert float(fourier_shell_correlation(volume, clean)[1 : claimed + 1].min()) > 0.99
    assert f"row {row} (000{row:03d}@particles.mrcs), pixels that are not finite" in found.notes[-1]
    assert found.particles.used == COUNT - 1


def test_every_stage_of_ab_initio_takes_repaired_images(folder: Path, tmp_path: Path) -> None:
    def damage(images: np.ndarray) -> None:
        images[7, 1, 1] = np.inf
        hot(1e7)(images)
        images[40] = 1e4 + 500 * images[40]

    damaged(folder, tmp_path, damage)
    job, result = run_job(tmp_path / "particles.star", tmp_path / "job", **SHORTEST)
    assert len(result.classes) == 1
    assert bool(read_map(job.path / "class_1.mrc")[0].isfinite().all())
    notes = job.read()["result"]["notes"]
    assert notes[-2].startswith("4 images are repaired")
    assert notes[-1].startswith("1 image is set aside")
