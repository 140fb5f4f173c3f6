"""Bounds of the quantities of a table: wrong units and values never set, against those that microscopes have."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cryorbit.core.data import CTFParams
from cryorbit.core.errors import InputError
from cryorbit.io.bounds import impossible_values, phase_units_problem
from cryorbit.io.checks import check_particles
from cryorbit.io.particles import read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star


def ctf(**changes: float) -> CTFParams:
    values = {"defocus_u": 12e3, "defocus_v": 11e3, "defocus_angle": 0.3, "voltage": 300.0, "spherical_aberration": 2.7}
    values |= {"amplitude_contrast": 0.1, "phase_shift": 0.0, "b_factor": 0.0, "scale": 1.0, **changes}
    return CTFParams(**{name: torch.tensor([value], dtype=torch.float64) for name, value in values.items()})


def broken(parameters: CTFParams, pixel_size: float = 2.0) -> set[str]:
    found = impossible_values(parameters, None, pixel_size, 64)
    return {bound.label for bound, mask in found.items() if mask.any()}


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"scale": 0.0}, "rlnCtfScalefactor"),
        ({"scale": 1e30}, "rlnCtfScalefactor"),
        ({"spherical_aberration": 2700.0}, "rlnSphericalAberration"),
        ({"spherical_aberration": 2.7e6}, "rlnSphericalAberration"),
        ({"spherical_aberration": float("inf")}, "rlnSphericalAberration"),
        ({"b_factor": 1e4}, "rlnCtfBfactor"),
        ({"b_factor": -1e5}, "rlnCtfBfactor"),
        ({"phase_shift": 90.0}, "rlnPhaseShift"),
        ({"defocus_angle": 1e4}, "rlnDefocusAngle"),
        ({"amplitude_contrast": 7.0}, "rlnAmplitudeContrast"),
        ({"voltage": 3e5}, "rlnVoltage"),
        ({"defocus_u": 1.2, "defocus_v": 1.1}, "rlnDefocusU, rlnDefocusV"),
        # micrometres are told from a focus also where there is a phase plate
        ({"defocus_u": 1.2, "defocus_v": 1.1, "phase_shift": 1.57}, "rlnDefocusU, rlnDefocusV"),
        ({"defocus_u": 200.0, "defocus_v": -200.0}, "rlnDefocusU, rlnDefocusV"),
    ],
)
def test_impossible(changes: dict[str, float], label: str) -> None:
    assert broken(ctf(**changes)) == {label}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"spherical_aberration": 0.001},
        {"amplitude_contrast": 1.0},
        {"b_factor": 480.0},
        {"b_factor": -100.0},
        {"scale": 0.5},
        {"defocus_angle": -9.4},
        {"phase_shift": 1.57, "defocus_u": 200.0, "defocus_v": -200.0},
        {"phase_shift": 3.0},
    ],
)
def test_what_microscopes_have(changes: dict[str, float]) -> None:
    assert broken(ctf(**changes)) == set()


def test_a_negative_b_factor_is_judged_by_what_it_does_at_nyquist() -> None:
    """-100 A^2 strengthens the image 4.8 times at 4 A, and 518 times at 2 A."""
    assert broken(ctf(b_factor=-100.0), pixel_size=2.0) == set()
    assert broken(ctf(b_factor=-100.0), pixel_size=1.0) == {"rlnCtfBfactor"}


@pytest.mark.parametrize(
    ("degrees", "wrong"),
    [
        ([1.5708, 1.2, 2.9], True),
        ([0.5, 0.4], True),
        ([0.0, 1.5708], True),
        # a few odd rows say nothing of the set
        ([0.0] * 99 + [1.5708], False),
        ([90.0, 1.2], False),
        ([90.0] + [1.5708] * 20, True),
        ([0.0, 0.0], False),
        ([-0.5, 1.2, 0.3], False),
    ],
)
def test_phase_shifts_in_radians_or_parts_of_pi(degrees: list[float], wrong: bool) -> None:
    assert (phase_units_problem(torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))) is not None) == wrong


def test_file_row_column_and_fix_are_named(star_set: Path) -> None:
    tables = read_star(star_set)
    tables["particles"]["rlnCtfScalefactor"] = 1.0
    tables["particles"].loc[4:20, "rlnCtfScalefactor"] = 0.0
    write_star(star_set, tables)
    with pytest.raises(InputError) as caught:
        check_particles(read_particles(star_set))
    said = str(caught.value)
    assert f"{star_set}, row 5: 17 of 40 particles are unusable" in said
    assert "a CTF scale outside 0.01 to 100 (rlnCtfScalefactor)" in said
    assert "set it to 1, or remove the column" in said


def test_shifts_beyond_the_box(star_set: Path) -> None:
    particles = read_particles(star_set)
    shifts = torch.zeros(40, 2, dtype=torch.float64)
    shifts[3, 1], shifts[5, 0] = -16.0, 15.9
    poses = replace(particles.poses, shifts=shifts)
    found = impossible_values(particles.ctf, poses, particles.pixel_size, particles.box)
    (mask,) = (mask for bound, mask in found.items() if bound.label.startswith("rlnOrigin"))
    assert torch.nonzero(mask)[:, 0].tolist() == [3]
