"""Aberrations that are not corrected for: phases against numbers known from elsewhere, and what is said of them."""

import math
from pathlib import Path

import numpy as np
import pytest

from cryorbit.imaging.stated_optics import magnification_of
from cryorbit.imaging.unused_optics import coma_phase, fourth_order_phase, trefoil_phase, unused_optics
from cryorbit.io.cryosparc import with_fields
from cryorbit.io.particles import read_particles
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from small_sets import PIXEL_SIZE, blob_images, write_cs_set, write_star_set

WAVELENGTH_A = 0.0196875
"""Of electrons of 300 kV."""


AXES = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.75**0.5]]) / 3
"""Frequencies of 3 A at 0, 90 and 60 degrees."""
COMA = 2 * math.pi * 2700 * WAVELENGTH_A**2
"""Radians of 270 nm of axial coma at 1 A."""


def test_axial_coma() -> None:
    phases = coma_phase(2700 * WAVELENGTH_A**2, AXES)
    np.testing.assert_allclose(phases, COMA / 27 * np.array([1, 0, 0.5]), rtol=1e-12, atol=1e-12)


def test_trefoil_and_the_fourth_order() -> None:
    np.testing.assert_allclose(trefoil_phase(1.0, AXES), 2 * math.pi / 81 * np.array([1, 0, -1]), atol=1e-12)
    second = 2 * math.pi / 81 * np.array([1, -1, -0.5])
    fourth = 0.5 * math.pi / 81 * np.array([1, 1, -0.5])
    np.testing.assert_allclose(fourth_order_phase((1.0, 2.0), AXES), second + 2 * fourth, atol=1e-12)


@pytest.fixture
def star(tmp_path: Path, rng: np.random.Generator) -> Path:
    return write_star_set(tmp_path, blob_images(40, rng))


def with_optics(star: Path, **columns: object) -> Path:
    tables = read_star(star)
    for label, values in columns.items():
        tables["optics"][label] = values
    write_star(star, tables)
    return star


def test_nothing_stated_is_nothing_said(star: Path) -> None:
    assert unused_optics(read_particles(star)).sentences() == []
    assert unused_optics(read_particles(with_optics(star, **matrix_of(1.0, 1.0)))).sentences() == []


def matrix_of(first: float, second: float) -> dict[str, float]:
    """Columns of RELION's matrix with these elements on its diagonal."""
    return {"rlnMagMat00": first, "rlnMagMat01": 0.0, "rlnMagMat10": 0.0, "rlnMagMat11": second}


def test_what_is_corrected_for_is_not_said(star: Path) -> None:
    stated = {"rlnBeamTiltX": 2.0, "rlnBeamTiltY": 0.0, "rlnOddZernike": "[0,0,50]", "rlnEvenZernike": "[0,9]"}
    stated |= matrix_of(1.1, 0.95)
    assert unused_optics(read_particles(with_optics(star, **stated))).sentences() == []


BEYOND_A_SHIFT = 1 - sum(i**4 for i in range(1, 7)) / 36 / sum(i**2 for i in range(1, 7))
"""Part of a coma at the rim that is left when the shift nearest to it, on six rings, is taken out: 0.31."""


def test_a_stretch_is_said_and_doubted_where_it_matters(tmp_path: Path, rng: np.random.Generator) -> None:
    """20 % at a quarter of a box of 32 A is 1.6 A, half a radian at 20 A."""
    optics = unused_optics(read_particles(cs_with(tmp_path, rng, anisomag=[0.2, 0, 0, 0])))
    limit = 2 * math.pi * 1.6 / 0.5
    (said,) = optics.sentences()
    assert said == (
        "Anisotropic magnification (ctf/anisomag) is not corrected for: phases are off by more than half a radian "
        f"beyond {limit:.3g} Å."
    )
    assert optics.doubts(1.05 * limit) == []
    (doubt,) = optics.doubts(limit / 1.05)
    assert doubt.startswith("anisotropic magnification (ctf/anisomag) is not corrected for: at ")
    assert "0.5 rad; fix: " in doubt


def test_a_small_stretch_is_harmless(tmp_path: Path, rng: np.random.Generator) -> None:
    (said,) = unused_optics(read_particles(cs_with(tmp_path, rng, anisomag=[0.001, 0, 0, 0]))).sentences()
    assert f"at {2 * PIXEL_SIZE:g} Å (Nyquist), which is harmless" in said


def cs_with(folder: Path, rng: np.random.Generator, **fields: object) -> Path:
    """A .cs set with fields of ``ctf``, all rows alike unless there are 40."""
    cs = write_cs_set(folder, blob_images(40, rng), rng)
    records = np.load(cs)
    values = {
        f"ctf/{name}": np.broadcast_to(np.asarray(each, "<f4"), (40, np.shape(each)[-1]))
        for name, each in fields.items()
    }
    more = with_fields(records, values)
    with cs.open("wb") as file:
        np.save(file, more)
    return cs


def test_fields_of_cryosparc(tmp_path: Path, rng: np.random.Generator) -> None:
    cs = cs_with(tmp_path, rng, tilt_A=[1620.0, 2160.0], tetra_A=[0.0] * 4, anisomag=[0.0] * 4)
    (term,) = unused_optics(read_particles(cs)).terms
    assert term.labels == "ctf/tilt_A"
    assert term.phase(1 / 3) == pytest.approx(COMA * BEYOND_A_SHIFT / 27, rel=1e-4)


def test_what_is_no_number_was_not_set(tmp_path: Path, rng: np.random.Generator) -> None:
    tilts = np.full((40, 2), np.nan)
    assert unused_optics(read_particles(cs_with(tmp_path, rng, tilt_A=tilts))).sentences() == []
    tilts[7] = [1620.0, 2160.0]
    other = tmp_path / "other"
    other.mkdir()
    (term,) = unused_optics(read_particles(cs_with(other, rng, tilt_A=tilts))).terms
    assert term.phase(1 / 3) == pytest.approx(COMA * BEYOND_A_SHIFT / 27, rel=1e-4)


RIM = 2 * math.pi * 0.08 * 0.25
"""Phase at 4 A of what 1 % moves, at a quarter of a box of 32 A: by 0.08 A."""


@pytest.mark.parametrize("identity", [0.0, 1.0])
def test_a_matrix_of_cryosparc_may_hold_the_identity(tmp_path: Path, rng: np.random.Generator, identity: float) -> None:
    found = unused_optics(read_particles(cs_with(tmp_path, rng, anisomag=[identity + 0.01, 0, 0, identity])))
    assert found.terms[0].phase(0.25) == pytest.approx(RIM, rel=1e-5)
    assert len(found.remarks) == identity


def test_a_matrix_of_cryosparc_in_a_star_file_is_not_corrected_for(star: Path) -> None:
    """Converters copy it, without the identity, and nothing says in which direction it stretches."""
    particles = read_particles(with_optics(star, **matrix_of(0.01, 0.0)))
    assert magnification_of(particles) is None
    found = unused_optics(particles)
    assert found.terms[0].phase(0.25) == pytest.approx(RIM, rel=1e-5)
    (said,) = found.remarks
    assert "if it is RELION's, add 1 to rlnMagMat00 and rlnMagMat11" in said


def test_a_matrix_of_zeros_was_not_set(star: Path) -> None:
    particles = read_particles(with_optics(star, **matrix_of(0.0, 0.0)))
    assert magnification_of(particles) is None
    found = unused_optics(particles)
    assert found.terms == ()
    (said,) = found.sentences()
    assert "taken for one that is not set" in said


def test_a_shift_by_the_optics_is_taken_out_of_the_origins(tmp_path: Path, rng: np.random.Generator) -> None:
    """4 A are 2 pixels; files that are written hold the sum as the shift of the alignment."""
    cs = cs_with(tmp_path, rng, shift_A=[0.0, 4.0])
    plain = np.load(cs)
    plain["ctf/shift_A"] = 0
    without = cs.with_name("without.cs")
    with without.open("wb") as file:
        np.save(file, plain)
    shifted, expected = read_particles(cs), read_particles(without)
    assert unused_optics(shifted).sentences() == []
    assert shifted.poses is not None
    assert expected.poses is not None
    np.testing.assert_allclose(
        shifted.poses.shifts, expected.poses.shifts.numpy() - np.array([0.0, 4.0]) / PIXEL_SIZE, atol=1e-6
    )
    write_particles(tmp_path / "out.star", shifted, Assignments(poses=shifted.poses))
    for suffix in (".star", ".cs"):
        back = read_particles(tmp_path / f"out{suffix}").poses
        assert back is not None
        np.testing.assert_allclose(back.shifts, shifted.poses.shifts, atol=1e-5)
