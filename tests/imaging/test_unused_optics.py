"""Aberrations that are not corrected for: phases against numbers known from elsewhere, and what is said of them."""

import math
from pathlib import Path

import numpy as np
import pytest

from cryorbit.imaging.aberrations import (
    beam_tilt_phase,
    coma_phase,
    even_zernike_phase,
    odd_zernike_phase,
    tetrafoil_phase,
)
from cryorbit.imaging.unused_optics import unused_optics
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from small_sets import PIXEL_SIZE, blob_images, write_cs_set, write_star_set

ONE, KV = np.ones(1), np.array([300.0])
WAVELENGTH_A = 0.0196875
"""Of electrons of 300 kV."""


def test_beam_tilt_makes_coma() -> None:
    """0.1 mrad at 2.7 mm are 270 nm of axial coma; at 3 A this turns phases by 2 pi 2700 lambda^2 / 27."""
    found = beam_tilt_phase(0.1 * ONE, 2.7 * ONE, KV, 1 / 3)
    np.testing.assert_allclose(found, 2 * math.pi * 2700 * WAVELENGTH_A**2 / 27, rtol=1e-4)
    np.testing.assert_allclose(found, coma_phase(2700 * ONE, KV, 1 / 3), rtol=1e-12)
    np.testing.assert_allclose(beam_tilt_phase(0.1 * ONE, 2.7 * ONE, KV, 1 / 6), found / 8, rtol=1e-12)


def test_tetrafoil_goes_with_the_fourth_power() -> None:
    found = tetrafoil_phase(1e4 * ONE, KV, 0.5)
    np.testing.assert_allclose(found, 0.5 * math.pi * 1e4 * WAVELENGTH_A**3 / 16, rtol=1e-4)


@pytest.mark.parametrize(
    ("odd", "index", "polynomial"),
    [
        (True, 0, lambda x, y: y + 0 * x),
        (True, 1, lambda x, y: x + 0 * y),
        (True, 2, lambda x, y: 3 * x**2 * y - y**3),
        (True, 3, lambda x, y: (3 * (x**2 + y**2) - 2) * y),
        (True, 4, lambda x, y: (3 * (x**2 + y**2) - 2) * x),
        (True, 5, lambda x, y: x**3 - 3 * x * y**2),
        (False, 0, lambda x, y: 1 + 0 * x * y),
        (False, 1, lambda x, y: 2 * x * y),
        (False, 2, lambda x, y: 2 * (x**2 + y**2) - 1),
        (False, 3, lambda x, y: x**2 - y**2),
        (False, 6, lambda x, y: 6 * (x**2 + y**2) ** 2 - 6 * (x**2 + y**2) + 1),
    ],
)
def test_zernike_polynomials_in_relions_order(odd: bool, index: int, polynomial: object) -> None:
    frequencies = np.random.default_rng(2).uniform(-0.4, 0.4, (20, 2))
    coefficients = np.zeros(index + 1)
    coefficients[index] = 0.7
    found = (odd_zernike_phase if odd else even_zernike_phase)(coefficients, frequencies)
    np.testing.assert_allclose(found, 0.7 * polynomial(*frequencies.T), atol=1e-12)


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
    none = {"rlnBeamTiltX": 0.0, "rlnBeamTiltY": 0.0, "rlnOddZernike": ["[0,0,0]", "[0,0,0]"]}
    none |= {"rlnMagMat00": 1.0, "rlnMagMat01": 0.0, "rlnMagMat10": 0.0, "rlnMagMat11": 1.0}
    assert unused_optics(read_particles(star)).sentences() == []
    assert unused_optics(read_particles(with_optics(star, **none))).sentences() == []


def test_beam_tilt_is_said_and_doubted_where_it_matters(star: Path) -> None:
    """The group of 300 kV has 1 mrad: half a radian is reached at k^3 = 0.5 / (2 pi 27,000 lambda^2)."""
    optics = unused_optics(read_particles(with_optics(star, rlnBeamTiltX=[0.6, 0.0], rlnBeamTiltY=[0.8, 0.0])))
    limit = (2 * math.pi * 27_000 * WAVELENGTH_A**2 / 0.5) ** (1 / 3)
    (said,) = optics.sentences()
    assert said == (
        "Beam tilt (rlnBeamTiltX, rlnBeamTiltY) is not corrected for: phases are off by more than half a radian beyond "
        f"{limit:.3g} A."
    )
    assert optics.doubts(1.05 * limit) == []
    (doubt,) = optics.doubts(limit / 1.05)
    assert doubt.startswith("beam tilt (rlnBeamTiltX, rlnBeamTiltY) is not corrected for: at 4.8")
    assert "0.6 rad; fix: " in doubt


def test_a_weak_beam_tilt_is_harmless(star: Path) -> None:
    (said,) = unused_optics(read_particles(with_optics(star, rlnBeamTiltX=0.01, rlnBeamTiltY=0.0))).sentences()
    assert f"at {2 * PIXEL_SIZE:g} A (Nyquist), which is harmless" in said


def test_zernike_coefficients_are_radians(star: Path) -> None:
    """3 x^2 y - y^3 of 60 is 60 k^3 at most: 0.94 rad at 4 A. What is linear in k only shifts the image."""
    optics = unused_optics(read_particles(with_optics(star, rlnOddZernike=["[0,500,60]", "[0,0,0]"])))
    (term,) = optics.terms
    assert term.phase(0.25) == pytest.approx(60 / 64, rel=1e-3)
    even = unused_optics(read_particles(with_optics(star, rlnOddZernike="[0,0]", rlnEvenZernike="[0,3.0]")))
    assert even.terms[0].phase(0.25) == pytest.approx(3 / 16, rel=1e-3)


def test_a_stretch_displaces_the_rim(star: Path) -> None:
    """1 % at a quarter of a box of 32 A is 0.08 A."""
    columns = {"rlnMagMat00": 1.01, "rlnMagMat01": 0.0, "rlnMagMat10": 0.0, "rlnMagMat11": 1.0}
    (term,) = unused_optics(read_particles(with_optics(star, **columns))).terms
    assert term.phase(0.25) == pytest.approx(2 * math.pi * 0.08 * 0.25, rel=1e-6)


def test_columns_of_the_particles_count_where_the_optics_have_none(star: Path) -> None:
    tables = read_star(star)
    tables["particles"] = tables["particles"].assign(rlnBeamTiltX=1.0, rlnBeamTiltY=0.0)
    write_star(star, tables)
    assert len(unused_optics(read_particles(star)).terms) == 1


def test_fields_of_cryosparc(tmp_path: Path, rng: np.random.Generator) -> None:
    cs = write_cs_set(tmp_path, blob_images(40, rng), rng)
    handed = cs.with_name("J7_passthrough_particles.cs")
    records = np.load(handed)
    fields = [("ctf/tilt_A", "<f4", (2,)), ("ctf/tetra_A", "<f4", (4,)), ("ctf/anisomag", "<f4", (4,))]
    more = np.zeros(len(records), dtype=[*records.dtype.descr, *fields])
    for name in records.dtype.names:
        more[name] = records[name]
    more["ctf/tilt_A"] = [1620.0, 2160.0]
    with handed.open("wb") as file:
        np.save(file, more)
    (term,) = unused_optics(read_particles(cs)).terms
    assert term.labels == "ctf/tilt_A"
    assert term.phase(1 / 3) == pytest.approx(2 * math.pi * 2700 * WAVELENGTH_A**2 / 27, rel=1e-4)


@pytest.mark.parametrize("text", ["[0,0,nan", "[0,0,0.1,abc]", "0;1"])
def test_coefficients_that_cannot_be_read_are_said(star: Path, text: str) -> None:
    tables = read_star(star)
    tables["optics"]["rlnOddZernike"] = text
    write_star(star, tables)
    (said,) = unused_optics(read_particles(star)).sentences()
    assert said == (
        "Antisymmetric aberrations (rlnOddZernike) is not corrected for: its values cannot be; correct or remove them."
    )


def test_a_shift_by_the_optics_is_said(tmp_path: Path, rng: np.random.Generator) -> None:
    """A shift of 4 A turns phases by half a radian at 2 pi 4 / 0.5 = 50 A."""
    cs = write_cs_set(tmp_path, blob_images(40, rng), rng)
    records = np.load(cs)
    shifts = np.zeros(len(records), [*records.dtype.descr, ("ctf/shift_A", "<f4", (2,))])
    for name in records.dtype.names:
        shifts[name] = records[name]
    shifts["ctf/shift_A"] = (0.0, 4.0)
    with cs.open("wb") as file:
        np.save(file, shifts)
    (said,) = unused_optics(read_particles(cs)).sentences()
    assert said.startswith("Shift of the image by the optics (ctf/shift_A) is not corrected for")
    assert "beyond 50.3 A" in said
