"""Labels and blocks of particles in another letter case are RELION's; what is no label of its kind is told."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.label_spelling import LABELS, as_relion_spells
from cryorbit.io.particles import Particles, read_particles


def changed(star: Path, old: str, new: str) -> Particles:
    """The set with text of its table replaced."""
    text = star.read_text()
    assert old in text
    star.write_text(text.replace(old, new))
    return read_particles(star)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("_rlnOriginXAngst", "_rlnOriginxAngst"),
        ("_rlnAngleRot", "_rlnanglerot"),
        ("_rlnImageName", "_RLNIMAGENAME"),
        ("_rlnDefocusU", "_rlnDefocusu"),
        ("_rlnRandomSubset", "_rlnRandomsubset"),
        ("data_optics", "data_Optics"),
        ("data_particles", "DATA_PARTICLES"),
    ],
)
def test_another_letter_case(star_set: Path, old: str, new: str) -> None:
    right = read_particles(star_set)
    found = changed(star_set, old, new)
    assert list(found.table.columns) == list(right.table.columns)
    assert right.poses is not None and found.poses is not None
    assert right.half_sets is not None and found.half_sets is not None
    assert torch.equal(found.poses.rotations, right.poses.rotations)
    assert torch.equal(found.poses.shifts, right.poses.shifts)
    assert torch.equal(found.half_sets, right.half_sets)
    assert torch.equal(found.ctf.defocus_u, right.ctf.defocus_u)
    assert float(found.poses.shifts[1, 0]) == 0.0625  # 0.125 A in pixels of 2 A


def test_a_label_in_both_spellings_stays() -> None:
    table = pd.DataFrame({"rlnDefocusU": [1.0], "rlnDefocusu": [2.0], "rlndefocusv": [3.0], "myOwn": [4.0]})
    assert list(as_relion_spells({"particles": table})["particles"]) == [
        "rlnDefocusU",
        "rlnDefocusu",
        "rlnDefocusV",
        "myOwn",
    ]


def test_no_two_labels_are_alike() -> None:
    assert len({label.lower() for label in LABELS}) == len(LABELS)


@pytest.mark.parametrize("axis", "XY")
def test_half_a_shift_is_refused(star_set: Path, axis: str) -> None:
    """Without its other half it would count as no shift at all: a blurred map, and no word."""
    other = "XY".replace(axis, "")
    with pytest.raises(InputError, match=f"a column rlnOrigin{other}Angst and no column rlnOrigin{axis}Angst"):
        changed(star_set, f"_rlnOrigin{axis}Angst", f"_rlnOrigin{axis}Angs")


@pytest.mark.parametrize(("start", "program"), [("cisTEM", "cisTEM"), ("wrp", "Warp or M")])
def test_labels_of_other_programs(star_set: Path, start: str, program: str) -> None:
    """ml-struct-bio/cryodrgn#330, warpem/warp#149."""
    with pytest.raises(InputError, match=f"its labels are those of {program}") as caught:
        changed(star_set, "_rln", f"_{start}")
    assert caught.value.fix == f"export the particles from {program} for RELION"
