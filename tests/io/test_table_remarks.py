"""Values that a table states twice, or that were never set in some rows: which one is used is said."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.checks import check_particles
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.io.table_remarks import table_remarks
from cryorbit.recipes.convert import ConvertConfig
from cryorbit.recipes.convert import run as convert
from cryorbit.recipes.inspect import InspectConfig
from cryorbit.recipes.inspect import run as inspect
from small_sets import COUNT, PIXEL_SIZE, blob_images, save_cs, write_star_set


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [
        (
            "rlnImagePixelSize",
            4.0,
            "The pixel size of data_optics is used, 2 Å; the table",
        ),
        (
            "rlnVoltage",
            200.0,
            "The voltage of data_optics is used, 300 kV; the table",
        ),
    ],
)
def test_optics_and_particles_differ(star_set: Path, label: str, value: float, said: str) -> None:
    tables = read_star(star_set)
    write_star(star_set, tables | {"particles": tables["particles"].assign(**{label: value})})
    particles = read_particles(star_set)
    assert particles.pixel_size == PIXEL_SIZE
    assert [each.startswith(said) for each in table_remarks(particles)] == [True]
    assert any(each.startswith(said) for each in check_particles(particles).notes)
    assert any(each.startswith(said) for each in inspect(InspectConfig(particles=star_set)).warnings())


def test_optics_and_particles_agree(star_set: Path) -> None:
    tables = read_star(star_set)
    write_star(star_set, tables | {"particles": tables["particles"].assign(rlnImagePixelSize=PIXEL_SIZE)})
    assert not table_remarks(read_particles(star_set))


def spherical_aberration(star: Path, mm: float) -> Path:
    tables = read_star(star)
    write_star(star, tables | {"optics": tables["optics"].assign(rlnSphericalAberration=mm)})
    return star


@pytest.mark.parametrize(("in_m", "mm"), [(0.0027, "2.7"), (0.002, "2"), (0.0014, "1.4"), (0.0012, "1.2")])
def test_a_spherical_aberration_in_m(star_set: Path, in_m: float, mm: str) -> None:
    (said,) = table_remarks(read_particles(spherical_aberration(star_set, in_m)))
    assert said.startswith(f"The spherical aberration is {in_m:g} mm in 40 of 40 particles (rlnSphericalAberration), ")
    assert said.endswith(f"Fix: give {mm}, unless the microscope is corrected for it.")
    assert said in inspect(InspectConfig(particles=star_set)).warnings()


@pytest.mark.parametrize("mm", [0.0, 0.001, 0.01, 0.05, 1.2, 2.7])
def test_a_spherical_aberration_in_mm(star_set: Path, mm: float) -> None:
    assert not table_remarks(read_particles(spherical_aberration(star_set, mm)))


def test_a_pixel_size_in_nm_has_one_fix(tmp_path: Path, rng: np.random.Generator) -> None:
    star = write_star_set(tmp_path, blob_images(COUNT, rng))
    tables = read_star(star)
    far = tables["particles"].assign(rlnOriginXAngst=2 * PIXEL_SIZE, rlnOriginYAngst=0.0)
    optics = tables["optics"].assign(rlnImagePixelSize=PIXEL_SIZE / 10)
    write_star(star, tables | {"particles": far, "optics": optics})
    said = inspect(InspectConfig(particles=star)).warnings()
    header = "says a pixel size of 2 Å (as does that of one more stack: another size than the table); that of the table"
    assert any(
        f"{header} is used, 0.2 Å. Fix: give the table 2 Å, if its pixel size is in nm." in each for each in said
    )
    assert any(each.endswith("of 16 pixels); fix: give them, and the pixel size, in Å.") for each in said)


def with_pixels_of_0(cs: Path, rows: slice) -> Path:
    handed = cs.with_name("J7_passthrough_particles.cs")
    records = np.load(handed)
    where = np.argsort(records["location/micrograph_path"], kind="stable")[rows]
    records["blob/psize_A"][where] = 0
    save_cs(handed, records)
    return cs


def test_pixel_sizes_of_0_in_some_rows_of_a_cs_file(cs_set: Path) -> None:
    sound = read_particles(cs_set)
    particles = read_particles(with_pixels_of_0(cs_set, slice(10)))
    assert particles.pixel_size == PIXEL_SIZE
    assert sound.poses is not None
    assert particles.poses is not None
    assert torch.equal(sound.poses.shifts, particles.poses.shifts)
    (said,) = table_remarks(particles)
    assert said.startswith("10 of 40 particles have a pixel size of 0 (blob/psize_A, row ")
    assert said.endswith("that of the others is used, 2 Å.")
    assert said in check_particles(particles).notes
    assert len(check_particles(particles).keep) == COUNT


def test_pixel_sizes_of_0_are_converted_as_those_of_the_others(cs_set: Path) -> None:
    target = cs_set.parent / "new.star"
    with_pixels_of_0(cs_set, slice(10))
    assert convert(ConvertConfig(source=cs_set, target=target, check=True)).faithful
    assert (read_star(target)["optics"]["rlnImagePixelSize"] == PIXEL_SIZE).all()


def test_pixel_sizes_of_0_throughout(cs_set: Path) -> None:
    with pytest.raises(InputError, match="the pixel size is 0"):
        read_particles(with_pixels_of_0(cs_set, slice(None)))
