"""cryoSPARC's .cs files: conventions against definitions, the join on uid, and the way back."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryorbit.core.data import Poses
from cryorbit.core.errors import InputError
from cryorbit.io.particles import class_numbers, read_particles
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.posed import posed_particles
from cryorbit.io.star import read_star
from cryorbit.recipes.convert import ConvertConfig
from cryorbit.recipes.convert import run as convert
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


@pytest.mark.parametrize("path", [b">J3/stack.mrc   ", b"  J3/stack.mrc", b"> J3/stack.mrc\0\0"])
def test_paths_that_are_padded(cs_set: Path, images: np.ndarray, path: bytes) -> None:
    handed = cs_set.with_name("J7_passthrough_particles.cs")
    records = np.load(handed)
    records["blob/path"] = path
    save_cs(handed, records)
    particles = read_particles(cs_set)
    assert set(particles.table["rlnImageName"].str.rpartition("@")[2]) == {"J3/stack.mrc"}
    np.testing.assert_array_equal(particles.images.read(np.arange(COUNT)).numpy(), images)


def test_records_of_the_other_byte_order(cs_set: Path, tmp_path: Path, images: np.ndarray) -> None:
    for file in (cs_set, cs_set.with_name("J7_passthrough_particles.cs")):
        records = np.load(file)
        save_cs(file, records.astype(records.dtype.newbyteorder(">")))
    particles = read_particles(cs_set)
    np.testing.assert_array_equal(particles.images.read(np.arange(COUNT)).numpy(), images)
    np.testing.assert_array_equal(particles.ctf.defocus_u, 12000 + np.arange(COUNT))
    found = convert(ConvertConfig(source=cs_set, target=tmp_path / "out.star", check=True))
    assert found.faithful


@pytest.mark.parametrize("main", [True, False])
def test_a_passthrough_file_alone(cs_set: Path, main: bool) -> None:
    """asarnow/pyem#40: it names no images, and the file beside which it is found is offered."""
    handed = cs_set.with_name("J7_passthrough_particles.cs")
    records = np.load(handed)
    kept = [name for name in records.dtype.names or () if not name.startswith("blob/")]
    save_cs(handed, records[kept].astype([(name, records.dtype[name]) for name in kept]))
    if not main:
        cs_set.unlink()
    with pytest.raises(InputError, match="no field blob/path") as caught:
        read_particles(handed)
    offered = ": J7_particles.cs" if main else ""
    assert caught.value.file == handed
    assert caught.value.fix is not None
    assert caught.value.fix.endswith(f"give the job's own particles file, beside which it is found{offered}")


def test_a_uid_that_occurs_twice_is_named(cs_set: Path) -> None:
    records = np.load(cs_set)
    records["uid"][9] = records["uid"][3]
    save_cs(cs_set, records)
    with pytest.raises(InputError, match="a uid occurs twice") as caught:
        read_particles(cs_set)
    assert caught.value.row == 10


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


def handed_of(cs: Path) -> Path:
    return cs.with_name("J7_passthrough_particles.cs")


def with_values(cs: Path, **fields: object) -> Path:
    """The file with fields set anew; ``__`` stands for the slash."""
    records = np.load(cs)
    for name, values in fields.items():
        records[name.replace("__", "/")] = values
    save_cs(cs, records)
    return cs


def with_more_fields(cs: Path, fields: dict[str, np.ndarray]) -> Path:
    """The file with fields added, or of another type."""
    records = np.load(cs)
    kept = [each for each in records.dtype.descr if each[0] not in fields]
    more = [(name, values.dtype.str, values.shape[1:]) for name, values in fields.items()]
    result = np.zeros(len(records), dtype=[*kept, *more])
    for name in result.dtype.names:
        result[name] = fields[name] if name in fields else records[name]
    save_cs(cs, result)
    return cs


def test_a_header_of_many_classes_is_read(cs_set: Path) -> None:
    classes = {f"alignments_class_{number}/{name}": np.zeros(COUNT, "<f4") for number in range(60) for name in "abcdef"}
    assert len(np.load(with_more_fields(cs_set, classes), max_header_size=10**6).dtype.descr.__repr__()) > 10_000
    assert len(read_particles(cs_set)) == COUNT


def test_half_sets_that_are_0_throughout_are_none(cs_set: Path) -> None:
    assert read_particles(with_values(cs_set, alignments3D__split=0)).half_sets is None
    half_sets = read_particles(with_values(cs_set, alignments3D__split=1)).half_sets
    assert half_sets is not None
    assert half_sets.unique().tolist() == [2]


def test_errors_name_the_fields_of_the_file(cs_set: Path) -> None:
    records = np.load(cs_set)
    records["alignments3D/split"][4] = 7
    save_cs(cs_set, records)
    with pytest.raises(InputError, match="alignments3D/split is 7, not 0 or 1") as caught:
        read_particles(cs_set)
    assert (caught.value.file, caught.value.row) == (cs_set, 5)
    records["alignments3D/split"][4] = np.iinfo(records["alignments3D/split"].dtype).max
    save_cs(cs_set, records)
    with pytest.raises(InputError, match="alignments3D/split is 0, not 1 or 2"):
        read_particles(cs_set)


def test_a_class_of_minus_one_is_none(cs_set: Path) -> None:
    unset = np.where(np.arange(COUNT) == 3, 2**32 - 1, 5).astype(np.uint32)
    classes = class_numbers(read_particles(with_values(cs_set, alignments3D__class=unset)))
    assert classes.tolist() == [0 if row == 3 else 6 for row in range(COUNT)]


def test_a_pose_without_rotation_and_shift_was_never_aligned(cs_set: Path) -> None:
    records = np.load(cs_set)
    records["alignments3D/pose"][[2, 5]] = 0
    records["alignments3D/shift"][[2, 7]] = 0
    save_cs(cs_set, records)
    particles = read_particles(cs_set)
    assert torch.nonzero(~particles.aligned)[:, 0].tolist() == [2]
    kept, said = posed_particles(particles)
    assert kept.rows.tolist() == [row + 1 for row in range(COUNT) if row != 2]
    assert said == "1 of 40 particles have no pose (rotation 0, or no number; row 3) and are left out."


@pytest.mark.parametrize(("count", "left_out"), [(2, 0), (30, 30)])
def test_shifts_without_rotations_are_no_poses_but_of_a_few(cs_set: Path, count: int, left_out: int) -> None:
    records = np.load(cs_set)
    records["alignments3D/pose"][:count] = 0
    save_cs(cs_set, records)
    kept, said = posed_particles(read_particles(cs_set))
    assert len(kept) == COUNT - left_out
    assert (said is not None and "30 of 40 particles have no pose" in said) == bool(left_out)


def test_half_sets_of_which_one_was_never_aligned_are_given_up(cs_set: Path) -> None:
    records = np.load(cs_set)
    records["alignments3D/pose"][1::2], records["alignments3D/shift"][1::2] = 0, 0
    save_cs(cs_set, records)
    kept, said = posed_particles(read_particles(cs_set))
    assert kept.half_sets is None
    assert said is not None
    assert said.endswith("The others are all in one half-set, so the half-sets are drawn again at random.")


def test_nothing_aligned_is_no_poses(cs_set: Path) -> None:
    particles = read_particles(with_values(cs_set, alignments3D__pose=0, alignments3D__shift=0))
    with pytest.raises(InputError, match="all rotations are 0"):
        posed_particles(particles)


@pytest.mark.parametrize("unset", [0.0, np.nan, None])
def test_shifts_without_a_pixel_size_are_in_pixels_of_the_images(cs_set: Path, unset: float | None) -> None:
    shifts = np.load(cs_set)["alignments3D/shift"]
    if unset is None:
        records = np.load(cs_set)
        save_cs(cs_set, records[[name for name in records.dtype.names if name != "alignments3D/psize_A"]].copy())
    else:
        with_values(cs_set, alignments3D__psize_A=unset)
    poses = read_particles(cs_set).poses
    assert poses is not None
    np.testing.assert_allclose(poses.shifts, shifts, rtol=1e-6, atol=1e-12)


def test_a_pixel_size_of_half_precision(cs_set: Path) -> None:
    with_more_fields(handed_of(cs_set), {"blob/psize_A": np.full(COUNT, 1.06, np.float16)})
    assert read_particles(cs_set).pixel_size == 1.06


@pytest.mark.parametrize("content", [b"", b"anything", None])
def test_files_beside_it_that_do_not_fit_are_passed_over(cs_set: Path, content: bytes | None) -> None:
    beside = cs_set.with_name("J7_passthrough_particles_excluded.cs")
    if content is None:
        save_cs(beside, np.load(handed_of(cs_set))[:0])
    else:
        beside.write_bytes(content)
    assert len(read_particles(cs_set)) == COUNT


@pytest.mark.parametrize(
    "name", ["J7_passthrough.cs", "P2_J7_007_passthrough_exposures.cs", "passthrough_particles.cs"]
)
def test_other_names_of_passthrough_files(cs_set: Path, name: str) -> None:
    handed_of(cs_set).rename(cs_set.with_name(name))
    assert len(read_particles(cs_set)) == COUNT


def test_what_was_passed_over_is_named_where_fields_are_missing(cs_set: Path) -> None:
    handed_of(cs_set).write_bytes(b"anything")
    with pytest.raises(
        InputError, match=r"no field blob/path[^$]*passed over: J7_passthrough_particles\.cs: this is no"
    ):
        read_particles(cs_set)


GROUP = """created: 2023-01-01
group:
  name: particles
results:
  location:
    metafile: '>handed.cs'
    num_items: 40
  alignments3D:
    metafile: '>J7_particles.cs'
    num_items: 40
"""


def test_a_group_is_read_with_the_files_that_it_names(cs_set: Path) -> None:
    group = cs_set.with_name("J7_particles.csg")
    group.write_text(GROUP.replace("handed.cs", "J7_passthrough_particles.cs"))
    assert read_particles(group).table.equals(read_particles(cs_set).table)


@pytest.mark.parametrize(
    ("text", "words"), [(GROUP, "names handed.cs, which is not beside it"), ("results:\n", "names no .cs file")]
)
def test_a_group_without_its_files(cs_set: Path, text: str, words: str) -> None:
    group = cs_set.with_name("J7_particles.csg")
    group.write_text(text)
    with pytest.raises(InputError, match=words):
        read_particles(group)


def test_places_on_the_micrograph(cs_set: Path) -> None:
    """Parts of a micrograph of 4,000 rows and 6,000 columns."""
    fields = {
        "location/center_x_frac": np.full(COUNT, 0.25, "<f4"),
        "location/center_y_frac": np.full(COUNT, 0.125, "<f4"),
        "location/micrograph_shape": np.full((COUNT, 2), [4000, 6000], "<u4"),
        "location/micrograph_psize_A": np.full(COUNT, 0.83, "<f4"),
    }
    with_more_fields(handed_of(cs_set), fields)
    table = read_particles(cs_set).table
    assert table[["rlnCoordinateX", "rlnCoordinateY"]].drop_duplicates().to_numpy().tolist() == [[1500.0, 500.0]]
    assert table["rlnMicrographOriginalPixelSize"].unique().tolist() == [0.83]
