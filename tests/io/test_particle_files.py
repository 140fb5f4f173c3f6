"""Particle sets: what is read from STAR files old and new, and what is written back."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryorbit.core.data import Poses
from cryorbit.core.errors import InputError
from cryorbit.io.checks import check_particles
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.set_aside import REASON, write_set_aside
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from small_sets import BOX, COUNT, PIXEL_SIZE, write_stack

ROWS = np.arange(COUNT)

OLD_STAR = """
data_

loop_
_rlnVoltage #1
_rlnDefocusU #2
_rlnDefocusV #3
_rlnDefocusAngle #4
_rlnSphericalAberration #5
_rlnAmplitudeContrast #6
_rlnMagnification #7
_rlnDetectorPixelSize #8
_rlnImageName #9
_rlnAngleRot #10
_rlnAngleTilt #11
_rlnAnglePsi #12
_rlnOriginX #13
_rlnOriginY #14
300.0 12000 11900 45.0 2.7 0.1 50000 10.0 000002@old.mrcs 10 20 30 1.5 -2.5
300.0 12000 11900 45.0 2.7 0.1 50000 10.0 000001@old.mrcs 10 20 30 1.5 -2.5
200.0 12000 11900 45.0 2.7 0.1 50000 10.0 000003@old.mrcs 10 20 30 1.5 -2.5
"""


def test_a_table_with_optics_groups(star_set: Path, images: np.ndarray) -> None:
    particles = read_particles(star_set)
    assert (len(particles), particles.box, particles.pixel_size) == (COUNT, BOX, PIXEL_SIZE)
    assert particles.records is None
    assert not particles.premultiplied
    ctf = particles.ctf
    np.testing.assert_array_equal(ctf.defocus_u, 10000 + 10 * ROWS)
    np.testing.assert_array_equal(ctf.defocus_v, 9900 + 10 * ROWS)
    np.testing.assert_allclose(ctf.defocus_angle, np.deg2rad(3 * ROWS), rtol=1e-14)
    np.testing.assert_array_equal(ctf.voltage, np.where(ROWS < 20, 300, 200))
    np.testing.assert_array_equal(ctf.amplitude_contrast, np.where(ROWS < 20, 0.1, 0.07))
    assert [float(value.unique()) for value in (ctf.phase_shift, ctf.b_factor, ctf.scale)] == [0, 0, 1]
    np.testing.assert_array_equal(particles.half_sets, ROWS % 2 + 1)
    np.testing.assert_array_equal(particles.group, ROWS // 10)
    np.testing.assert_array_equal(particles.images.read(ROWS[::-1].copy()), images[::-1])


def test_poses_follow_relion(star_set: Path) -> None:
    poses = read_particles(star_set).poses
    assert poses is not None
    angles = np.stack([4 * ROWS, 3 * ROWS + 5, -4 * ROWS], axis=1).astype(float)
    expected = Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix().transpose(0, 2, 1)
    np.testing.assert_allclose(poses.rotations, expected, atol=1e-12)
    # origins are given in A
    np.testing.assert_allclose(poses.shifts, np.stack([0.125 * ROWS, -0.0625 * ROWS], 1) / PIXEL_SIZE, atol=1e-14)


def test_optics_may_stand_after_the_particles(star_set: Path) -> None:
    expected = read_particles(star_set)
    head, particles = star_set.read_text().split("# version 30001\n\ndata_particles")
    star_set.write_text("data_particles" + particles + "\n" + head)
    swapped = read_particles(star_set)
    assert torch.equal(swapped.ctf.voltage, expected.ctf.voltage)


@pytest.fixture
def old_set(tmp_path: Path, images: np.ndarray) -> Path:
    write_stack(tmp_path / "old.mrcs", images[:3])
    (tmp_path / "old.star").write_text(OLD_STAR)
    return tmp_path / "old.star"


def test_a_single_table_of_relion_3_0(old_set: Path, images: np.ndarray) -> None:
    particles = read_particles(old_set)
    assert particles.optics is None
    assert particles.box == BOX
    assert particles.pixel_size == pytest.approx(2.0, rel=1e-14)
    np.testing.assert_array_equal(particles.ctf.voltage, [300, 300, 200])
    assert particles.poses is not None
    # origins are given in pixels
    np.testing.assert_array_equal(particles.poses.shifts, [[1.5, -2.5]] * 3)
    np.testing.assert_array_equal(particles.images.read(np.arange(3)), images[[1, 0, 2]])
    assert particles.half_sets is None
    assert particles.group is None


def test_an_old_table_is_written_with_optics(old_set: Path, tmp_path: Path) -> None:
    particles = read_particles(old_set)
    poses = Poses(torch.eye(3, dtype=torch.float64).expand(3, 3, 3), torch.tensor([[1.0, 2], [3, 4], [5, 6]]))
    write_particles(tmp_path / "out" / "particles.star", particles, Assignments(poses=poses))
    tables = read_star(tmp_path / "out" / "particles.star")
    assert tables["optics"]["rlnVoltage"].tolist() == [200, 300]
    assert tables["particles"]["rlnOpticsGroup"].tolist() == [2, 2, 1]
    assert tables["optics"]["rlnImageSize"].tolist() == [BOX, BOX]
    # the old pixel origins must not contradict the new ones in A
    assert tables["particles"]["rlnOriginX"].tolist() == [1, 3, 5]
    assert tables["particles"]["rlnOriginXAngst"].tolist() == [2, 6, 10]
    back = read_particles(tmp_path / "out" / "particles.star")
    assert back.poses is not None
    torch.testing.assert_close(back.poses.shifts, poses.shifts.double(), rtol=0, atol=1e-12)
    assert torch.equal(back.images.read(torch.arange(3)), particles.images.read(torch.arange(3)))


def test_legal_defaults_are_overridden_by_columns(star_set: Path) -> None:
    text = star_set.read_text().replace("_rlnBeamTiltClass #13", "_rlnPhaseShift #13\n_rlnCtfScalefactor #14")
    star_set.write_text(text.replace(" 0007\n", " 90.0 0.5\n"))
    ctf = read_particles(star_set).ctf
    np.testing.assert_allclose(ctf.phase_shift, np.pi / 2, rtol=1e-14)
    assert float(ctf.scale.unique()) == 0.5


def test_tables_without_poses_or_images(star_set: Path) -> None:
    star_set.write_text(star_set.read_text().replace("_rlnAngleTilt", "_rlnAngleTiltPrior"))
    for stack in (star_set.parent / "Extract").iterdir():
        stack.unlink()
    particles = read_particles(star_set)
    assert particles.poses is None
    assert particles.box == BOX


@pytest.mark.parametrize("place", ["data_dir", "data_dir_flat", "parent", "cwd", "other_suffix"])
def test_where_images_are_looked_for(
    star_set: Path, images: np.ndarray, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = star_set.parent / "Extract"
    data_dir = None
    if place == "other_suffix":
        for stack in sorted(extract.iterdir()):
            stack.rename(stack.with_suffix(".mrc"))
    elif place == "parent":
        deep = star_set.parent / "Class3D" / "job9" / "x" / "particles.star"
        deep.parent.mkdir(parents=True)
        star_set = star_set.rename(deep)
    else:
        home = star_set.parent / "elsewhere"
        home.mkdir()
        extract.rename(home / "Extract")
        data_dir = {"data_dir": home, "data_dir_flat": home / "Extract"}.get(place)
        if place == "cwd":
            monkeypatch.chdir(home)
    particles = read_particles(star_set, data_dir=data_dir)
    np.testing.assert_array_equal(particles.images.read(ROWS), images)


def test_images_are_looked_for_beside_the_file_that_a_link_leads_to(
    star_set: Path, images: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = tmp_path_factory.mktemp("elsewhere") / "particles.star"
    link.symlink_to(star_set)
    np.testing.assert_array_equal(read_particles(link).images.read(ROWS), images)


def test_a_bare_name_that_two_names_share_leads_nowhere(star_set: Path, images: np.ndarray) -> None:
    """Two stacks of one name in two folders: which one a data folder holds is not known."""
    extract = star_set.parent / "Extract"
    flat = star_set.parent / "flat"
    flat.mkdir()
    (extract / "a.mrcs").rename(flat / "a.mrcs")
    (extract / "b.mrcs").unlink()
    text = star_set.read_text()
    star_set.write_text(text.replace("Extract/b.mrcs", "Other/a.mrcs"))
    with pytest.raises(InputError, match="2 of 2 image files are missing"):
        check_particles(read_particles(star_set, data_dir=flat))
    star_set.write_text(text)
    np.testing.assert_array_equal(read_particles(star_set, data_dir=flat).images.read(ROWS[:20]), images[:20])


def test_stacks_called_mrc_are_written_with_their_mark(star_set: Path, tmp_path: Path) -> None:
    for stack in sorted((star_set.parent / "Extract").iterdir()):
        stack.rename(stack.with_suffix(".mrc"))
    star_set.write_text(star_set.read_text().replace(".mrcs", ".mrc:mrcs"))
    particles = read_particles(star_set)
    write_particles(tmp_path / "out.star", particles, Assignments())
    write_set_aside(tmp_path / "set_aside.star", particles, check_particles(particles))
    names = read_star(tmp_path / "out.star")["particles"]["rlnImageName"]
    assert names.tolist() == read_star(star_set)["particles"]["rlnImageName"].tolist()


def test_columns_left_over_from_another_layout_are_not_written(star_set: Path, tmp_path: Path) -> None:
    tables = read_star(star_set)
    tables["particles"] = tables["particles"].assign(rlnOriginX=7.0, rlnOriginY=7.0, rlnVoltage=1.0)
    write_star(star_set, tables)
    particles = read_particles(star_set)
    write_particles(tmp_path / "out.star", particles, Assignments())
    written = read_star(tmp_path / "out.star")["particles"]
    assert not {"rlnOriginX", "rlnOriginY", "rlnVoltage"} & set(written)
    assert particles.ctf.voltage.unique().tolist() == [200.0, 300.0]


def test_a_subset_is_the_rows_asked_for(star_set: Path, images: np.ndarray) -> None:
    particles = read_particles(star_set)
    part = particles.subset(torch.tensor([30, 2]))
    assert part.rows.tolist() == [31, 3]
    assert part.ctf.defocus_u.tolist() == [10300, 10020]
    assert part.group is not None
    assert part.group.tolist() == [3, 0]
    np.testing.assert_array_equal(part.images.read(np.array([0, 1])), images[[30, 2]])
    assert part.subset(torch.tensor([False, True])).rows.tolist() == [3]


def some_assignments(particles: Particles, generator: torch.Generator) -> Assignments:
    count = len(particles)
    rotations = torch.from_numpy(Rotation.random(count, rng=np.random.default_rng(3)).as_matrix())
    shifts = torch.randn(count, 2, generator=generator, dtype=torch.float64)
    return Assignments(
        poses=Poses(rotations, shifts),
        class_number=torch.arange(count) % 3 + 1,
        half_set=torch.arange(count) // 20 + 1,
        max_probability=torch.rand(count, generator=generator),
        log_likelihood=-1e5 * torch.rand(count, generator=generator, dtype=torch.float64),
        significant=torch.arange(count),
    )


def test_written_particles_keep_every_column_and_read_back(
    star_set: Path, tmp_path: Path, generator: torch.Generator
) -> None:
    particles = read_particles(star_set).subset(torch.arange(COUNT).flip(0))
    assignments = some_assignments(particles, generator)
    target = tmp_path / "job" / "particles.star"
    write_particles(target, particles, assignments)
    before, after = read_star(star_set), read_star(target)
    columns = list(before["particles"].columns)
    assert list(after["particles"].columns)[: len(columns)] == columns
    assert after["optics"].equals(before["optics"])
    for label in ("rlnImageName", "rlnMicrographName", "rlnDefocusU", "rlnBeamTiltClass"):
        assert after["particles"][label].tolist() == before["particles"][label].tolist()[::-1]
    assert after["particles"]["rlnBeamTiltClass"].tolist() == ["0007"] * COUNT
    assert after["particles"]["rlnClassNumber"].tolist() == assignments.class_number.tolist()
    assert after["particles"]["rlnNrOfSignificantSamples"].tolist() == assignments.significant.tolist()
    for label, values in {
        "rlnMaxValueProbDistribution": assignments.max_probability,
        "rlnLogLikeliContribution": assignments.log_likelihood,
    }.items():
        np.testing.assert_allclose(after["particles"][label], values, rtol=0, atol=6e-7)
    back = read_particles(target)
    assert back.poses is not None
    # six decimals of a degree
    torch.testing.assert_close(back.poses.rotations, assignments.poses.rotations, rtol=0, atol=3e-8)
    torch.testing.assert_close(back.poses.shifts, assignments.poses.shifts, rtol=0, atol=3e-7)
    assert torch.equal(back.half_sets, assignments.half_set)


def test_image_names_lead_to_the_same_files(star_set: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    particles = read_particles(star_set)
    inside = star_set.parent / "Refine3D" / "job1" / "particles.star"
    write_particles(inside, particles, Assignments())
    assert read_star(inside)["particles"]["rlnImageName"].iloc[0] == "000001@Extract/a.mrcs"
    outside = tmp_path_factory.mktemp("outside") / "particles.star"
    write_particles(outside, particles, Assignments())
    name = read_star(outside)["particles"]["rlnImageName"].iloc[0]
    assert name == f"000001@{star_set.parent}/Extract/a.mrcs"
    # a file of the same name beside the output is another file
    decoy = tmp_path_factory.mktemp("decoy")
    (decoy / "Extract").mkdir()
    write_stack(decoy / "Extract" / "a.mrcs", np.zeros((20, BOX, BOX), np.float32))
    write_particles(decoy / "particles.star", particles, Assignments())
    for written in (inside, outside, decoy / "particles.star"):
        assert torch.equal(read_particles(written).images.read(ROWS), particles.images.read(ROWS))


def test_set_aside_particles_are_listed_with_the_reason(star_set: Path, tmp_path: Path, images: np.ndarray) -> None:
    images[3] = np.nan
    images[25, :] = 1.0
    with pytest.warns(RuntimeWarning, match="NaN"):
        write_stack(star_set.parent / "Extract" / "a.mrcs", images[:20])
    write_stack(star_set.parent / "Extract" / "b.mrcs", images[20:])
    particles = read_particles(star_set)
    write_set_aside(tmp_path / "set_aside.star", particles, check_particles(particles))
    table = read_star(tmp_path / "set_aside.star")["particles"]
    assert table["rlnImageName"].tolist() == ["000004@Extract/a.mrcs", "000006@Extract/b.mrcs"]
    assert table[REASON].tolist() == ["pixels that are not finite", "a constant image"]
    assert len(read_particles(tmp_path / "set_aside.star")) == 2


def test_nothing_set_aside_is_an_empty_table(star_set: Path, tmp_path: Path) -> None:
    particles = read_particles(star_set)
    write_set_aside(tmp_path / "set_aside.star", particles, check_particles(particles))
    table = read_star(tmp_path / "set_aside.star")["particles"]
    assert len(table) == 0
    assert REASON in table


def test_reasons_are_written_in_ascii(star_set: Path, tmp_path: Path) -> None:
    content = star_set.read_text()
    assert "10000.00 9900.00" in content
    star_set.write_text(content.replace("10000.00 9900.00", "0.00 0.00", 1))
    particles = read_particles(star_set)
    write_set_aside(tmp_path / "set_aside.star", particles, check_particles(particles))
    assert "a defocus outside 50 to 100000 A" in (tmp_path / "set_aside.star").read_text(encoding="ascii")
