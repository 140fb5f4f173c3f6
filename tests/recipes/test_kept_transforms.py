"""Jobs whose passes read the stacks once: where transforms are kept changes nothing of the result."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from abinit_jobs import SHORTEST, make_set, run_job
from refine_jobs import ONE_PASS, low_passed_map, refined

from cryorbit.core.errors import InputError
from cryorbit.core.memory import GIB
from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.fourier.half_disc import image_transform
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.transform_cache import TransformCache
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.kept_rows import RowsInFile
from cryorbit.io.mrc import read_map
from cryorbit.recipes import kept_transforms
from phantom_sets import sharp_phantom

COUNT = 120
Refine = Callable[..., JobFolder]


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    star = make_set(folder, [sharp_phantom(torch.Generator().manual_seed(20))], COUNT, 5.0)
    low_passed_map(folder / "map_0.mrc", folder / "start.mrc")
    return star


@pytest.fixture
def refine(particles: Path, tmp_path: Path) -> Refine:
    def run(name: str, **changes: Any) -> JobFolder:
        settings = {"method": "em", "check_start": False, **ONE_PASS, **changes}
        return refined(particles, particles.parent / "start.mrc", tmp_path / name, **settings)[0]

    return run


@pytest.fixture
def read_for_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the images that sources with a cache read."""
    read, numbers = ParticleSource.read, []

    def counting(source: ParticleSource, index: torch.Tensor) -> torch.Tensor:
        numbers.extend([] if source.cache is None else index.tolist())
        return read(source, index)

    monkeypatch.setattr(ParticleSource, "read", counting)
    return numbers


RESULTS = ("map.mrc", "map_half1_unfil.mrc", "particles.star", "noise.csv")


def assert_same(job: JobFolder, other: JobFolder) -> None:
    for name in RESULTS:
        assert (job.path / name).read_bytes() == (other.path / name).read_bytes(), name


def test_a_refinement_reads_each_image_once(refine: Refine, read_for_passes: list[int], tmp_path: Path) -> None:
    in_memory = refine("memory")
    assert sorted(read_for_passes) == list(range(COUNT))
    read_for_passes.clear()
    (tmp_path / "scratch").mkdir()
    on_disk = refine("disk", scratch=tmp_path / "scratch")
    assert sorted(read_for_passes) == list(range(COUNT))
    assert list((tmp_path / "scratch").iterdir()) == []
    assert_same(on_disk, in_memory)


@pytest.mark.parametrize("part", [0.0, 0.3])
def test_the_result_does_not_depend_on_how_much_is_kept(
    part: float, refine: Refine, read_for_passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    all_kept = refine("all")
    read_for_passes.clear()
    room = int(part * COUNT * 4 * 350)
    monkeypatch.setattr(kept_transforms, "main_memory_beside", lambda *_: room / kept_transforms.PART_OF_MEMORY)
    assert_same(refine("some"), all_kept)
    assert len(read_for_passes) > (2 if part else 3) * COUNT


def test_rounding_does_not_show_in_the_map(refine: Refine, monkeypatch: pytest.MonkeyPatch) -> None:
    rounded = refine("rounded")
    monkeypatch.setattr(TransformCache, "transforms", lambda _, index, disc, read: image_transform(read(index), disc))
    exact = refine("exact")
    one, other = (read_map(job.path / "map_half1_unfil.mrc")[0] for job in (rounded, exact))
    assert not torch.equal(one, other)
    assert float(fourier_shell_correlation(one, other)[1:].min()) > 0.999


def test_ab_initio_reads_images_once(particles: Path, tmp_path: Path, read_for_passes: list[int]) -> None:
    run_job(particles, tmp_path / "job", **SHORTEST)
    assert len(read_for_passes) == len(set(read_for_passes)) == COUNT


def test_the_scratch_folder_is_given_back_when_a_job_fails(
    refine: Refine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, closed = RowsInFile.close, []
    monkeypatch.setattr(RowsInFile, "close", lambda rows: closed.append(close(rows)))
    monkeypatch.setattr(RowsInFile, "read", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        refine("broken", scratch=tmp_path)
    assert len(closed) == 1


def test_a_scratch_folder_that_is_not_there_is_refused_first(refine: Refine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: cannot create files in the scratch folder"):
        refine("job", scratch=tmp_path / "nowhere")


def test_half_of_what_volumes_leave_is_for_images(refine: Refine, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = []
    make = TransformCache.__init__

    def noted(cache: TransformCache, **settings: Any) -> None:
        rooms.append(settings["room"])
        make(cache, **settings)

    monkeypatch.setattr(TransformCache, "__init__", noted)
    for memory in (50.0, 60.0):
        refine(f"of_{memory:g}", memory=memory)
    assert rooms[1] - rooms[0] == pytest.approx(5 * GIB, rel=0.05)
