"""Aberrations and magnification as tables state them: which table holds, what is unset, and what cannot be read."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.imaging.aberrations import Aberrations
from cryorbit.imaging.magnification import Magnification
from cryorbit.imaging.stated_optics import aberrations_of, magnification_of
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from small_sets import blob_images, write_star_set

FREQUENCIES = torch.tensor([[0.2, 0.1], [-0.1, 0.2]], dtype=torch.float64)


@pytest.fixture
def star(tmp_path: Path, rng: np.random.Generator) -> Path:
    return write_star_set(tmp_path, blob_images(40, rng))


def read_with(star: Path, table: str, **columns: object) -> Aberrations | None:
    """The aberrations of the set with columns added to one of its tables."""
    tables = read_star(star)
    tables[table] = tables[table].assign(**columns)
    write_star(star, tables)
    return aberrations_of(read_particles(star))


def phases(aberrations: Aberrations | None) -> torch.Tensor:
    """Those of the antisymmetric terms of all 40 particles."""
    assert aberrations is not None
    phase = aberrations.odd_phase(FREQUENCIES)
    assert phase is not None
    return phase


def test_nothing_stated_is_nothing(star: Path) -> None:
    assert aberrations_of(read_particles(star)) is None
    assert read_with(star, "optics", rlnBeamTiltX=0.0, rlnBeamTiltY=0.0, rlnOddZernike=["[0,0,0]", "[]"]) is None


def test_groups_have_their_own(star: Path) -> None:
    """The first half of the set was taken at 300 kV and 2.7 mm, the second without a tilt."""
    phase = phases(read_with(star, "optics", rlnBeamTiltX=[0.0, 0.0], rlnBeamTiltY=[0.1, 0.0]))
    coma = 2 * np.pi * 2.7e3 * 0.0196875**2
    expected = -coma * (FREQUENCIES**2).sum(1) * FREQUENCIES[:, 1]
    torch.testing.assert_close(phase[:20], expected.expand(20, -1), rtol=1e-4, atol=1e-6)
    assert not phase[20:].any()


def test_columns_of_the_particles_count_where_the_optics_have_none(star: Path) -> None:
    own = np.linspace(-1, 1, 40)
    phase = phases(read_with(star, "particles", rlnBeamTiltX=own, rlnBeamTiltY=0.0))
    torch.testing.assert_close(phase[0], phase[19] * own[0] / own[19])
    of_optics = phases(read_with(star, "optics", rlnBeamTiltX=[0.5, 0.5], rlnBeamTiltY=0.0))
    torch.testing.assert_close(of_optics[0], of_optics[19])


def test_lists_may_have_any_length_and_be_unset(star: Path) -> None:
    aberrations = read_with(star, "optics", rlnOddZernike=["[0.5]", "None"], rlnEvenZernike=["[]", "[0,0,0,4]"])
    assert aberrations is not None
    odd, even = aberrations.odd_phase(FREQUENCIES), aberrations.even_phase(FREQUENCIES)
    assert odd is not None
    assert even is not None
    torch.testing.assert_close(odd[[0, 30], 0], torch.tensor([0.05, 0.0], dtype=torch.float64))
    torch.testing.assert_close(even[[0, 30], 0], torch.tensor([0.0, 4 * 0.03], dtype=torch.float64))


def test_images_without_a_ctf_have_none(star: Path) -> None:
    assert read_with(star, "optics", rlnBeamTiltX=0.5, rlnBeamTiltY=0.0) is not None
    assert aberrations_of(read_particles(star).without_ctf()) is None


@pytest.mark.parametrize("text", ["[0,0,nan", "[0,0,0.1,abc]", "0;1", "[1e]"])
@pytest.mark.parametrize("label", ["rlnOddZernike", "rlnEvenZernike"])
def test_coefficients_that_cannot_be_read_are_refused(star: Path, label: str, text: str) -> None:
    with pytest.raises(InputError, match=label) as caught:
        read_with(star, "optics", **{label: ["[0,0]", text]})
    assert (caught.value.file, caught.value.row) == (star, 21)
    assert f"correct {label}" in str(caught.value)


def test_a_tilt_that_is_no_number_is_refused(star: Path) -> None:
    with pytest.raises(InputError, match="rlnBeamTiltX is 'abc', not a number"):
        read_with(star, "optics", rlnBeamTiltX=["0.1", "abc"], rlnBeamTiltY=0.0)


@pytest.mark.parametrize(("label", "absurd"), [("rlnBeamTiltX", "5000"), ("rlnEvenZernike", "[0,-1e6]")])
def test_what_no_microscope_has_is_refused(star: Path, label: str, absurd: str) -> None:
    with pytest.raises(InputError, match=f"{label} is .*, not within") as caught:
        read_with(star, "optics", **{label: ["0", absurd] if "Tilt" in label else ["[0]", absurd]})
    assert caught.value.row == 21


def magnification_with(star: Path, table: str, **columns: object) -> Magnification | None:
    """The magnification of the set with columns added to one of its tables."""
    tables = read_star(star)
    tables[table] = tables[table].assign(**columns)
    write_star(star, tables)
    return magnification_of(read_particles(star))


def test_no_stretch_is_no_magnification(star: Path) -> None:
    assert magnification_of(read_particles(star)) is None
    assert magnification_with(star, "optics", rlnMagMat00=1.0, rlnMagMat01=0.0, rlnMagMat10=-1e-7) is None


def test_settings_have_their_own_matrices(star: Path) -> None:
    """Elements that are not set are those of the identity, as are those of no column."""
    found = magnification_with(
        star, "optics", rlnMagMat00=["None", "1.02"], rlnMagMat01=0.01, rlnMagMat10=["nan", "0.03"]
    )
    assert found is not None
    expected = torch.tensor([[[1.0, 0.01], [0.0, 1.0]], [[1.02, 0.01], [0.03, 1.0]]], dtype=torch.float64)
    torch.testing.assert_close(found.matrices[found.setting[[0, 39]]], expected)


def test_images_without_a_ctf_are_stretched_too(star: Path) -> None:
    assert magnification_with(star, "optics", rlnMagMat00=1.02) is not None
    assert magnification_of(read_particles(star).without_ctf()) is not None


@pytest.mark.parametrize("element", ["abc", "inf"])
def test_an_element_that_is_no_number_is_refused(star: Path, element: str) -> None:
    with pytest.raises(InputError, match=f"rlnMagMat10 is '{element}', not a number") as caught:
        magnification_with(star, "optics", rlnMagMat00=1.02, rlnMagMat10=["0", element])
    assert (caught.value.file, caught.value.row) == (star, 21)


@pytest.mark.parametrize(
    ("elements", "percent"), [((1.3, 0, 0, 1), 30), ((0, 1, 1, 0), 200), ((1, 0, 0, 0), 100), ((0.5, 0, 0, 0.45), 55)]
)
def test_what_no_microscope_does_is_refused(star: Path, elements: tuple[float, ...], percent: int) -> None:
    """A stretch too large, a mirror, a singular matrix, and one as near to 0 as to the identity."""
    labels = ("rlnMagMat00", "rlnMagMat01", "rlnMagMat10", "rlnMagMat11")
    columns = {label: [default, each] for label, default, each in zip(labels, (1, 0, 0, 1), elements, strict=True)}
    with pytest.raises(InputError, match=f"stretches images by {percent} %, more than 20 %") as caught:
        magnification_with(star, "optics", **columns)
    assert (caught.value.file, caught.value.row) == (star, 21)
    assert "correct rlnMagMat00 to 11, or remove the columns" in str(caught.value)
