"""cryoSPARC's .cs files: conventions against definitions, the join on uid, and the way back."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryorbit.core.data import Poses
from cryorbit.io.particles import read_particles
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.star import read_star
from small_sets import BOX, COUNT, PIXEL_SIZE, save_cs, write_stack


def test_images_ctf_and_groups(cs_set: Path, images: np.ndarray) -> None:
    particles = read_particles(cs_set)
    assert (len(particles), particles.box, particles.pixel_size) == (COUNT, BOX, PIXEL_SIZE)
    # the stack holds dark particles, and blob/sign says so
    np.testing.assert_array_equal(particles.images.read(np.arange(COUNT)).numpy(), images)
    ctf = particles.ctf
    np.testing.assert_array_equal(ctf.defocus_u, 12000 + np.arange(COUNT))
    assert float(ctf.defocus_v.unique()) == 11000
    np.testing.assert_allclose(ctf.defocus_angle, 0.5, rtol=1e-14)
    np.testing.assert_allclose(ctf.phase_shift, 0.25, rtol=1e-14)
    # 2.7 mm, not 2.700000047683716
    assert (float(ctf.spherical_aberration[0]), float(ctf.amplitude_contrast[0])) == (2.7, 0.1)
    assert particles.group is not None
    np.testing.assert_array_equal(particles.group, np.arange(COUNT) // 10)
    assert particles.optics is not None
    assert particles.table["rlnOpticsGroup"].tolist() == [1] * 20 + [2] * 20
    np.testing.assert_array_equal(particles.half_sets, np.arange(COUNT) % 2 + 1)


def test_poses_are_transposed_and_shifts_rescaled(cs_set: Path) -> None:
    poses = read_particles(cs_set).poses
    records = np.load(cs_set)
    assert poses is not None
    expected = Rotation.from_rotvec(records["alignments3D/pose"].astype(float)).as_matrix().transpose(0, 2, 1)
    np.testing.assert_allclose(poses.rotations, expected, atol=1e-12)
    # alignments3D/psize_A is twice the pixel size of the images
    np.testing.assert_allclose(poses.shifts, 2 * records["alignments3D/shift"], rtol=1e-7, atol=1e-12)


def test_one_file_may_hold_everything(cs_set: Path, images: np.ndarray) -> None:
    handed = np.load(cs_set.with_name("J7_passthrough_particles.cs"))
    alone = cs_set.parent.parent / "J3" / "extracted_particles.cs"
    save_cs(alone, handed)
    particles = read_particles(alone)
    assert particles.poses is None
    assert particles.half_sets is None
    place = handed["blob/idx"]
    np.testing.assert_array_equal(particles.images.read(np.arange(COUNT)).numpy(), images[place])


def test_the_passthrough_of_another_subset_is_not_taken(cs_set: Path) -> None:
    handed = np.load(cs_set.with_name("J7_passthrough_particles.cs"))
    # sorts before the right one, but lacks particles
    save_cs(cs_set.with_name("J7_passthrough_particles_class_0.cs"), handed[:10])
    save_cs(cs_set.with_name("A_passthrough_particles.cs"), handed[:10])
    assert len(read_particles(cs_set)) == COUNT


def test_a_passthrough_elsewhere_can_be_given(cs_set: Path, tmp_path: Path) -> None:
    moved = cs_set.with_name("J7_passthrough_particles.cs").rename(tmp_path / "handed.cs")
    assert len(read_particles(cs_set, passthrough=moved)) == COUNT


def test_written_back_with_every_field(cs_set: Path, tmp_path: Path, generator: torch.Generator) -> None:
    particles = read_particles(cs_set).subset(torch.arange(COUNT).flip(0)[:30])
    rotations = torch.from_numpy(Rotation.random(30, rng=np.random.default_rng(1)).as_matrix())
    assignments = Assignments(
        poses=Poses(rotations, torch.randn(30, 2, generator=generator, dtype=torch.float64)),
        class_number=torch.arange(30) % 2 + 1,
        half_set=torch.arange(30) // 15 + 1,
        max_probability=torch.rand(30, generator=generator),
    )
    target = tmp_path / "J9" / "particles.star"
    write_particles(target, particles, assignments)
    before, after = np.load(cs_set), np.load(target.with_suffix(".cs"))
    handed = np.load(cs_set.with_name("J7_passthrough_particles.cs"))
    assert set(after.dtype.names) == {*before.dtype.names, *handed.dtype.names, "alignments3D/class_posterior"}
    assert after["uid"].dtype == np.uint64
    assert after["uid"].tolist() == before["uid"][::-1][:30].tolist()
    assert after["blob/path"].tolist() == [b">J3/stack.mrc"] * 30
    assert after["alignments3D/error"].tolist() == before["alignments3D/error"][::-1][:30].tolist()
    assert after["alignments3D/class"].tolist() == [0, 1] * 15
    assert after["alignments3D/split"].tolist() == [0] * 15 + [1] * 15
    for written in (target, target.with_suffix(".cs")):
        back = read_particles(written)
        assert back.poses is not None
        # single precision in the .cs file
        torch.testing.assert_close(back.poses.rotations, rotations, rtol=0, atol=5e-7)
        torch.testing.assert_close(back.poses.shifts, assignments.poses.shifts, rtol=0, atol=5e-7)
        assert back.half_sets is not None
        assert torch.equal(back.half_sets, assignments.half_set)


def test_the_star_file_beside_it_names_the_images(cs_set: Path, tmp_path: Path) -> None:
    write_particles(tmp_path / "J9" / "particles.star", read_particles(cs_set), Assignments())
    table = read_star(tmp_path / "J9" / "particles.star")["particles"]
    assert table["rlnImageName"].tolist() == [f"{row + 1:06d}@J3/stack.mrc:mrcs" for row in range(COUNT)]


@pytest.mark.parametrize("sign", [0, 1])
def test_a_sign_of_nought_or_one_changes_nothing(cs_set: Path, images: np.ndarray, sign: int) -> None:
    file = cs_set.with_name("J7_passthrough_particles.cs")
    handed = np.load(file)
    handed["blob/sign"] = sign
    save_cs(file, handed)
    write_stack(cs_set.parent.parent / "J3" / "stack.mrc", images)
    np.testing.assert_array_equal(read_particles(cs_set).images.read(np.array([7])).numpy(), images[[7]])
