"""Before the first iteration: what is decided about the particles, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from abinit_jobs import PIXEL_SIZE, SHORTEST, make_set, run_job

from cryorbit.core.errors import InputError
from cryorbit.io.particles import read_particles
from cryorbit.io.set_aside import write_set_aside
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.abinit import AbinitConfig
from cryorbit.recipes.abinit.prepare import AbinitDataset, prepare
from phantom_sets import sharp_phantom

COUNT = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of twelve micrographs."""
    folder = tmp_path_factory.mktemp("prepare")
    make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], COUNT, 0.3)
    return folder


def prepared(folder: Path, **changes: Any) -> AbinitDataset:
    settings = {"particles": folder / "particles.star", "output": folder / "job", **changes}
    return prepare(AbinitConfig(**settings))


def changed_set(folder: Path, name: str, **columns: Any) -> Path:
    """The particles with columns set anew, in a file beside them."""
    tables = read_star(folder / "particles.star")
    for label, values in columns.items():
        tables["particles"][label] = values
    write_star(folder / name, tables)
    return folder / name


def test_every_particle_trains_or_judges(folder: Path) -> None:
    found = prepared(folder, held_out=0.1)
    assert len(found.held_out) == 24
    everyone = torch.cat([found.order, found.held_out]).sort().values
    assert torch.equal(everyone, torch.arange(COUNT))
    assert not torch.equal(found.order, found.order.sort().values)
    assert len(prepared(folder, held_out=0.0).held_out) == 0


def test_the_seed_decides_the_order_and_nothing_else_does(folder: Path) -> None:
    one, again, other = (prepared(folder, seed=seed) for seed in (1, 1, 2))
    for name in ("order", "held_out", "half_set"):
        assert torch.equal(getattr(one, name), getattr(again, name))
        assert not torch.equal(getattr(one, name), getattr(other, name))


def test_half_sets_keep_micrographs_whole(folder: Path) -> None:
    half_set = prepared(folder).half_set
    by_micrograph = half_set.reshape(12, 20)
    assert bool((by_micrograph == by_micrograph[:, :1]).all())
    assert int(by_micrograph[:, 0].sum()) == 6


def test_few_micrographs_are_divided(folder: Path) -> None:
    file = changed_set(folder, "one.star", rlnMicrographName=["mic.mrc"] * COUNT)
    half_set = prepared(folder, particles=file).half_set
    assert int(half_set.sum()) == COUNT // 2


def test_half_sets_of_the_input_are_kept(folder: Path) -> None:
    given = np.arange(COUNT) // 7 % 2 + 1
    file = changed_set(folder, "halves.star", rlnRandomSubset=given)
    assert torch.equal(prepared(folder, particles=file).half_set, torch.from_numpy(given - 1))


def test_dark_particles_are_turned_white(folder: Path, tmp_path: Path) -> None:
    make_set(tmp_path, [sharp_phantom(torch.Generator().manual_seed(3))], COUNT, 0.3, invert_contrast=True)
    white, dark = prepared(folder), prepared(tmp_path)
    assert (white.source.inverted, dark.source.inverted) == (False, True)
    assert "dark" in dark.report.grey.contrast
    middle = slice(12, 20)
    for found in (white, dark):
        assert float(found.source.read(torch.arange(COUNT))[:, middle, middle].mean()) > 0.1
    assert prepared(tmp_path, invert_contrast=False).source.inverted is False


def test_the_diameter_is_estimated_or_given(folder: Path) -> None:
    assert 60 <= prepared(folder).diameter <= 110
    given = prepared(folder, diameter=77.0)
    assert given.diameter == 77.0
    assert given.diameter_px == pytest.approx(77 / PIXEL_SIZE)
    window = given.window(16)
    # half a voxel of the working box is a whole pixel: the particle's edge is at 7.7 / 2 voxels, ten per cent added
    assert float(window[8, 8, 12]) == 1
    assert float(window[8, 8, 15]) == 0


def test_noise_without_a_particle_gets_a_wide_window(tmp_path: Path) -> None:
    make_set(tmp_path, [sharp_phantom(torch.Generator().manual_seed(3))], 100, 1e-6)
    assert prepared(tmp_path).diameter == pytest.approx(0.7 * 32 * PIXEL_SIZE)


def test_the_noise_is_that_of_the_images(folder: Path) -> None:
    """White, of unit variance; the particle's halo adds a little at low frequencies."""
    noise = prepared(folder).noise_variance
    assert noise.shape == (17,)
    assert float((noise[6:-1] - 1).abs().max()) < 0.1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"diameter": 200.0}, ["diameter", "160"]),
        ({"symmetry": "Q3"}, ["'Q3' is not a point group", "fix"]),
        ({"particles": Path("none.star")}, ["none.star"]),
        (
            {"premultiplied": True, "search": {"noise_model": "residuals"}},
            ["particles.star", "cannot measure the noise", 'fix: set noise_model = "background"'],
        ),
    ],
)
def test_what_cannot_be_is_refused(folder: Path, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        prepared(folder, **changes)
    for word in words:
        assert word in str(error.value)


def test_too_few_particles_are_refused(tmp_path: Path) -> None:
    make_set(tmp_path, [sharp_phantom(torch.Generator().manual_seed(3))], 49, 0.3)
    with pytest.raises(InputError, match="only 49 usable particles"):
        prepared(tmp_path)


def test_images_without_noise_outside_the_particle_are_refused(tmp_path: Path) -> None:
    """Images are divided by the spectrum of their background."""
    make_set(tmp_path, [sharp_phantom(torch.Generator().manual_seed(3))], 60, 0.3)
    stack = tmp_path / "particles.mrcs"
    content = bytearray(stack.read_bytes())
    images = np.frombuffer(content, "<f4", offset=1024).reshape(60, 32, 32)
    images[:, np.hypot(*(np.mgrid[:32, :32] - 16)) > 10] = 0
    stack.write_bytes(content)
    assert bool((prepared(tmp_path, diameter=60.0).noise_variance > 0).all())
    with pytest.raises(InputError, match=r"no noise outside a particle of 150 Å(.|\n)*without a mask"):
        prepared(tmp_path, diameter=150.0)


def test_too_little_memory_is_told_before_any_image_is_read(folder: Path, tmp_path: Path) -> None:
    """The images are not even there."""
    (tmp_path / "particles.star").write_bytes((folder / "particles.star").read_bytes())
    with pytest.raises(InputError, match=r"needs .* of memory(.|\n)*fewer classes"):
        prepared(tmp_path, memory=0.01, classes=3)
    with pytest.raises(InputError, match="is not there"):
        prepared(tmp_path, memory=1000.0)


def test_particles_set_aside_are_kept_for_their_list(folder: Path, tmp_path: Path) -> None:
    defocus = read_star(folder / "particles.star")["particles"]["rlnDefocusU"].tolist()
    defocus[4] = 1.5
    found = prepared(folder, particles=changed_set(folder, "micrometres.star", rlnDefocusU=defocus))
    assert len(found.particles) == COUNT - 1
    write_set_aside(tmp_path / "set_aside.star", found.everything, found.report)
    assert read_star(tmp_path / "set_aside.star")["particles"]["rlnDefocusU"].tolist() == [1.5]


def test_a_cs_file_comes_back_as_one(folder: Path, tmp_path: Path) -> None:
    """Fields that were there are there, poses are those of the STAR file beside it."""
    ctf = read_particles(folder / "particles.star").ctf
    fields = [
        *(("uid", "<u8"), ("blob/path", "S200"), ("blob/idx", "<u4"), ("blob/shape", "<u4", (2,))),
        *(("blob/psize_A", "<f4"), ("blob/sign", "<f4"), ("ctf/accel_kv", "<f4"), ("ctf/cs_mm", "<f4")),
        *(("ctf/amp_contrast", "<f4"), ("ctf/df1_A", "<f4"), ("ctf/df2_A", "<f4"), ("ctf/df_angle_rad", "<f4")),
    ]
    records = np.zeros(COUNT, fields)
    records["uid"], records["blob/idx"] = np.arange(COUNT) + 1000, np.arange(COUNT)
    records["blob/path"] = str(folder / "particles.mrcs").encode()
    records["blob/shape"], records["blob/psize_A"], records["blob/sign"] = 32, PIXEL_SIZE, 1
    records["ctf/accel_kv"], records["ctf/cs_mm"], records["ctf/amp_contrast"] = 300, 2.7, 0.1
    records["ctf/df1_A"], records["ctf/df2_A"], records["ctf/df_angle_rad"] = (
        *(ctf.defocus_u, ctf.defocus_v),
        ctf.defocus_angle,
    )
    with (tmp_path / "particles.cs").open("wb") as file:
        np.save(file, records)
    job, _ = run_job(tmp_path / "particles.cs", tmp_path / "job", **SHORTEST)
    ours, theirs = (read_particles(job.path / name) for name in ("particles.cs", "particles.star"))
    assert ours.records is not None
    assert np.array_equal(ours.records["uid"], records["uid"])
    assert ours.poses is not None
    assert theirs.poses is not None
    torch.testing.assert_close(ours.poses.rotations, theirs.poses.rotations, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.poses.shifts, theirs.poses.shifts, rtol=0, atol=1e-4)
