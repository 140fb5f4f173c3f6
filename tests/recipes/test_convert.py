"""Conversion: values against the conventions, round trips of random tables, paths, and what is refused."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cryorbit.core.errors import InputError
from cryorbit.geometry.rotations import angular_distance
from cryorbit.imaging.stated_optics import magnification_of
from cryorbit.io.cryosparc_files import read_cs
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.convert import Conversion, ConvertConfig, run
from small_sets import COUNT, blob_images, save_cs, write_cs_set, write_stack, write_star_set


@pytest.fixture
def star_set(tmp_path: Path, rng: np.random.Generator) -> Path:
    return write_star_set(tmp_path, blob_images(COUNT, rng))


@pytest.fixture
def cs_set(tmp_path: Path, rng: np.random.Generator) -> Path:
    return write_cs_set(tmp_path, blob_images(COUNT, rng), rng)


def convert(source: Path, target: Path, **options: object) -> Conversion:
    return run(ConvertConfig(source=source, target=target, check=True, **options))


def fates(conversion: Conversion) -> dict[str, str]:
    assert conversion.columns is not None
    return {column.name: column.fate for column in conversion.columns}


def test_records_in_cryosparcs_units(star_set: Path, tmp_path: Path) -> None:
    convert(star_set, tmp_path / "out.cs")
    records = np.load(tmp_path / "out.cs")
    table = read_star(star_set)["particles"]
    angles = table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy(float)
    theirs = Rotation.from_rotvec(records["alignments3D/pose"])
    ours = Rotation.from_euler("ZYZ", angles, degrees=True)
    assert (theirs.inv() * ours).magnitude().max() < 1e-6
    pixels = table[["rlnOriginXAngst", "rlnOriginYAngst"]].to_numpy(float) / 2.0
    np.testing.assert_allclose(records["alignments3D/shift"], pixels, rtol=1e-6)
    np.testing.assert_allclose(records["ctf/df_angle_rad"], np.deg2rad(table["rlnDefocusAngle"]), rtol=1e-6)
    assert records["alignments3D/split"].tolist() == (table["rlnRandomSubset"] - 1).tolist()
    assert records["blob/path"][25] == b"Extract/b.mrcs"
    assert records["blob/idx"][25] == 5
    assert records["ctf/accel_kv"][[0, -1]].tolist() == [300, 200]
    assert records["blob/shape"][0].tolist() == [16, 16]
    assert len(set(records["uid"].tolist())) == COUNT


def test_what_a_cs_file_cannot_hold_is_named(star_set: Path, tmp_path: Path) -> None:
    found = convert(star_set, tmp_path / "out.cs")
    assert found.faithful
    lost = {name for name, fate in fates(found).items() if fate == "not carried"}
    assert lost == {"rlnBeamTiltClass", "rlnOpticsGroupName"}


def test_what_a_star_file_cannot_hold_comes_back_with_the_original(cs_set: Path, tmp_path: Path) -> None:
    found = convert(cs_set, tmp_path / "out.star")
    assert found.faithful
    assert {name for name, fate in fates(found).items() if fate == "not carried"} == {"alignments3D/error", "blob/sign"}
    assert any("Protein is dark" in note for note in found.notes)
    table = read_star(tmp_path / "out.star")
    table["particles"] = table["particles"].iloc[::-2]
    table["particles"]["rlnDefocusU"] += 100.0
    write_star(tmp_path / "half.star", table)
    found = convert(tmp_path / "half.star", tmp_path / "half.cs", original=cs_set)
    assert found.faithful
    original, chosen = read_cs(cs_set), np.load(tmp_path / "half.cs")
    assert chosen["uid"].tolist() == original["uid"][::-2].tolist()
    assert chosen["blob/path"].tolist() == original["blob/path"][::-2].tolist()
    for name in ("alignments3D/error", "blob/sign", "location/micrograph_path"):
        assert chosen[name].tolist() == original[name][::-2].tolist(), name
    np.testing.assert_allclose(chosen["ctf/df1_A"], original["ctf/df1_A"][::-2] + 100, rtol=1e-6)


def test_cs_with_passthrough_becomes_one_file(cs_set: Path, tmp_path: Path) -> None:
    found = convert(cs_set, tmp_path / "J7" / "one.cs")
    assert set(fates(found).values()) == {"exact"}
    assert np.load(tmp_path / "J7" / "one.cs")["blob/path"][0] == b">J3/stack.mrc"


def test_star_of_cs_images_is_a_stack_to_relion(cs_set: Path, tmp_path: Path) -> None:
    convert(cs_set, tmp_path / "out.star")
    assert read_star(tmp_path / "out.star")["particles"]["rlnImageName"][3] == "000004@J3/stack.mrc:mrcs"
    images = read_particles(tmp_path / "out.star").images.read(torch.tensor([3]))
    torch.testing.assert_close(images, -read_particles(cs_set).images.read(torch.tensor([3])), rtol=0, atol=0)


def test_from_new_to_old_to_new(star_set: Path, tmp_path: Path) -> None:
    assert set(fates(convert(star_set, tmp_path / "old.star", star_version="3.0"))) >= {"rlnOriginXAngst"}
    assert list(read_star(tmp_path / "old.star")) == ["images"]
    assert "version" not in (tmp_path / "old.star").read_text()
    found = convert(tmp_path / "old.star", tmp_path / "new.star")
    assert found.faithful
    before, after = read_star(star_set), read_star(tmp_path / "new.star")
    pd.testing.assert_frame_equal(after["optics"][before["optics"].columns], before["optics"])
    pd.testing.assert_frame_equal(after["particles"][before["particles"].columns], before["particles"])


def test_a_stretch_comes_through_both_layouts(star_set: Path, tmp_path: Path) -> None:
    tables = read_star(star_set)
    matrix = {"rlnMagMat00": 1.01, "rlnMagMat01": 0.002, "rlnMagMat10": -0.003, "rlnMagMat11": [0.99, 1.0]}
    tables["optics"] = tables["optics"].assign(**matrix)
    write_star(star_set, tables)
    convert(star_set, tmp_path / "old.star", star_version="3.0")
    convert(tmp_path / "old.star", tmp_path / "new.star")
    came = magnification_of(read_particles(star_set))
    assert came is not None
    for name in ("old.star", "new.star"):
        found = magnification_of(read_particles(tmp_path / name))
        assert found is not None
        assert torch.equal(found.matrices[found.setting], came.matrices[came.setting])


def test_paths_lead_to_the_same_images_from_elsewhere(star_set: Path, tmp_path: Path) -> None:
    target = tmp_path / "one" / "two" / "three" / "four" / "five.star"
    assert fates(convert(star_set, target))["rlnImageName"] == "exact"
    name = read_star(target)["particles"]["rlnImageName"][0]
    assert name == f"000001@{tmp_path / 'Extract' / 'a.mrcs'}"


def test_without_images_names_stay_and_it_is_said(star_set: Path, tmp_path: Path) -> None:
    for stack in (tmp_path / "Extract").iterdir():
        stack.unlink()
    found = convert(star_set, tmp_path / "out.cs")
    assert found.faithful
    assert "2 of 2 image files were not found" in found.notes[0]
    assert np.load(tmp_path / "out.cs")["blob/path"][0] == b"Extract/a.mrcs"


def test_damage_is_seen(star_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check reads the file that was written: one wrong number in it is told."""

    def spoil(path: Path, records: np.ndarray) -> None:
        records["ctf/df1_A"][7] += 1
        records["alignments3D/pose"][3] += 0.01
        save_cs(path, records)

    monkeypatch.setattr(sys.modules["cryorbit.recipes.convert.run"], "write_cs", spoil)
    found = convert(star_set, tmp_path / "out.cs")
    assert not found.faithful
    changed = {name for name, fate in fates(found).items() if fate == "changed"}
    assert changed == {"rlnDefocusU", "rlnAngleRot, rlnAngleTilt, rlnAnglePsi"}


def stale_set(star: Path, **columns: object) -> Path:
    tables = read_star(star)
    tables["particles"] = tables["particles"].assign(**columns)
    write_star(star, tables)
    return star


@pytest.mark.parametrize("version", ["3.0", "3.1"])
def test_origins_left_over_in_pixels_are_not_written(star_set: Path, tmp_path: Path, version: str) -> None:
    stale_set(star_set, rlnOriginX=3.25, rlnOriginY=-7.5)
    before = read_particles(star_set).poses
    found = convert(star_set, tmp_path / "out.star", star_version=version)
    assert found.faithful
    assert {name for name, fate in fates(found).items() if fate == "not carried"} == {"rlnOriginX", "rlnOriginY"}
    table = next(table for name, table in read_star(tmp_path / "out.star").items() if name != "optics")
    label, factor = ("rlnOriginX", 2.0) if version == "3.0" else ("rlnOriginXAngst", 1.0)
    np.testing.assert_allclose(factor * table[label], 0.125 * np.arange(COUNT))
    torch.testing.assert_close(read_particles(tmp_path / "out.star").poses.shifts, before.shifts, rtol=0, atol=1e-12)


def test_a_magnification_left_over_is_not_written(star_set: Path, tmp_path: Path) -> None:
    stale_set(star_set, rlnMagnification=50_000.0, rlnDetectorPixelSize=14.0)
    assert convert(star_set, tmp_path / "old.star", star_version="3.0").faithful
    table = read_star(tmp_path / "old.star")["images"]
    np.testing.assert_allclose(1e4 * table["rlnDetectorPixelSize"] / table["rlnMagnification"], 2.0)
    assert convert(star_set, tmp_path / "new.star").faithful
    assert "rlnMagnification" not in read_star(tmp_path / "new.star")["particles"]


def test_the_mark_of_a_stack_is_kept(cs_set: Path, tmp_path: Path) -> None:
    convert(cs_set, tmp_path / "a.star")
    convert(tmp_path / "a.star", tmp_path / "b.star")
    assert read_star(tmp_path / "b.star")["particles"]["rlnImageName"][3] == "000004@J3/stack.mrc:mrcs"


@pytest.mark.parametrize("micrographs", [True, False])
def test_coordinates_come_through(star_set: Path, tmp_path: Path, micrographs: bool) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 300, COUNT).round(3), rng.uniform(0, 200, COUNT).round(3)
    stale_set(star_set, rlnCoordinateX=x, rlnCoordinateY=y)
    if micrographs:
        for number in range(COUNT // 10):
            write_stack(tmp_path / f"mic{number:03d}.mrc", np.zeros((1, 200, 300), np.float32))
    found = convert(star_set, tmp_path / "out.cs")
    assert found.faithful
    assert {fates(found)[label] for label in ("rlnCoordinateX", "rlnCoordinateY")} == {"rounded"}
    records = np.load(tmp_path / "out.cs")
    if micrographs:
        assert records["location/micrograph_shape"][0].tolist() == [200, 300]
        np.testing.assert_allclose(records["location/center_x_frac"], x / 300, rtol=1e-6)
        np.testing.assert_allclose(records["location/center_y_frac"], y / 200, rtol=1e-6)
    back = convert(tmp_path / "out.cs", tmp_path / "back.star")
    assert back.faithful
    np.testing.assert_allclose(read_star(tmp_path / "back.star")["particles"]["rlnCoordinateX"], x, rtol=1e-6)


@pytest.mark.parametrize("unset", ["nan", "<NA>", "None", "-"])
def test_a_class_that_is_not_set_is_no_class(star_set: Path, tmp_path: Path, unset: str) -> None:
    text = star_set.read_text().replace("_rlnBeamTiltClass #13", "_rlnClassNumber #13").replace(" 0007", " 3")
    star_set.write_text(text.replace(" 1 3\n", f" 1 {unset}\n", 1))
    assert convert(star_set, tmp_path / "out.star").faithful
    assert read_star(tmp_path / "out.star")["particles"]["rlnClassNumber"].tolist() == [0, *[3] * (COUNT - 1)]
    assert convert(star_set, tmp_path / "out.cs").faithful
    assert "alignments3D/class" not in np.load(tmp_path / "out.cs").dtype.names


def test_a_uid_that_is_none_is_refused(star_set: Path, tmp_path: Path) -> None:
    stale_set(star_set, cryosparcUid=["12", "none", *["13"] * (COUNT - 2)])
    with pytest.raises(InputError, match=r"row 2: cryosparcUid is none, which is not a uid"):
        convert(star_set, tmp_path / "out.cs")


def test_stacks_are_looked_for_once_a_file(star_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once a particle: the names of all stacks are found in one go."""
    module, asked = sys.modules["cryorbit.recipes.convert.particle_file"], []
    names_from = module.names_from
    monkeypatch.setattr(module, "names_from", lambda *given: asked.append(len(given[1])) or names_from(*given))
    run(ConvertConfig(source=star_set, target=tmp_path / "out.cs"))
    assert asked == [2]


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("out.txt", {}, "neither a .star nor a .cs file"),
        ("particles.star", {}, "the file exists"),
        ("out.star", {"original": "x.cs"}, "of use only for a .cs file"),
        ("out.cs", {"original": "J7/J7_particles.cs"}, "no column cryosparcUid"),
    ],
)
def test_refused(
    star_set: Path, cs_set: Path, tmp_path: Path, target: str, options: dict[str, str], words: str
) -> None:
    paths = {name: tmp_path / value for name, value in options.items()}
    assert cs_set.exists()
    with pytest.raises(InputError, match=words):
        convert(star_set, tmp_path / target, **paths)


ANGLE = st.floats(-360, 360)
PARTICLE = st.fixed_dictionaries(
    {
        "rlnDefocusU": st.floats(100, 90_000),
        "rlnDefocusV": st.floats(100, 90_000),
        "rlnDefocusAngle": st.floats(-180, 180),
        "rlnPhaseShift": st.floats(0, 180),
        "rlnAngleRot": ANGLE,
        "rlnAngleTilt": ANGLE,
        "rlnAnglePsi": ANGLE,
        "rlnOriginXAngst": st.floats(-100, 100),
        "rlnOriginYAngst": st.floats(-100, 100),
        "rlnRandomSubset": st.integers(1, 2),
        "rlnClassNumber": st.integers(1, 50),
        "rlnOpticsGroup": st.integers(1, 3),
        "rlnScore": st.floats(allow_nan=False, allow_infinity=False),
    }
)


@settings(max_examples=15, deadline=None)
@given(
    particles=st.lists(PARTICLE, min_size=1, max_size=6),
    pixel_size=st.floats(0.3, 12),
    voltage=st.tuples(*3 * [st.sampled_from([100.0, 200.0, 300.0])]),
)
def test_round_trips(
    particles: list[dict[str, float]],
    pixel_size: float,
    voltage: tuple[float, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Any poses and CTFs come through STAR 3.0 unchanged, and through .cs to single precision."""
    folder = tmp_path_factory.mktemp("convert")
    table = pd.DataFrame(particles)
    table["rlnImageName"] = [f"{row + 1:06d}@none.mrcs" for row in range(len(table))]
    optics = pd.DataFrame({"rlnOpticsGroup": [1, 2, 3], "rlnVoltage": voltage})
    optics["rlnSphericalAberration"], optics["rlnAmplitudeContrast"] = 2.7, 0.1
    optics["rlnImagePixelSize"], optics["rlnImageSize"], optics["rlnImageDimensionality"] = pixel_size, 64, 2
    write_star(folder / "a.star", {"optics": optics, "particles": table})
    assert convert(folder / "a.star", folder / "b.star", star_version="3.0").faithful
    assert convert(folder / "b.star", folder / "c.star").faithful
    assert convert(folder / "c.star", folder / "d.cs").faithful
    assert convert(folder / "d.cs", folder / "e.star").faithful
    first, single, double = (read_particles(folder / name) for name in ("a.star", "e.star", "c.star"))
    assert angular_distance(first.poses.rotations, double.poses.rotations).max() < 1e-6
    assert angular_distance(first.poses.rotations, single.poses.rotations).max() < 1e-4
    # numbers below the smallest normal one have fewer digits
    least = torch.finfo(torch.float64).tiny
    torch.testing.assert_close(double.poses.shifts, first.poses.shifts, rtol=1e-14, atol=least)
    torch.testing.assert_close(single.poses.shifts, first.poses.shifts, rtol=1e-6, atol=1e-30)
    for name in ("defocus_u", "defocus_v", "defocus_angle", "phase_shift", "voltage"):
        torch.testing.assert_close(getattr(double.ctf, name), getattr(first.ctf, name), rtol=0, atol=0)
        torch.testing.assert_close(getattr(single.ctf, name), getattr(first.ctf, name), rtol=1e-6, atol=1e-30)
