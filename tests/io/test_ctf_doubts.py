"""CTF parameters that may be, and hardly are: each is named, and those of good sets are not."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cryorbit.core.data import CTFParams
from cryorbit.io.ctf_doubts import ctf_doubts
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.inspect import InspectConfig
from cryorbit.recipes.inspect import run as inspect


def ctf(count: int, **changes: torch.Tensor) -> CTFParams:
    """Parameters of a usual set, with changes."""
    usual = {
        "defocus_u": 15000.0,
        "defocus_v": 14000.0,
        "defocus_angle": 0.5,
        "voltage": 300.0,
        "spherical_aberration": 2.7,
        "amplitude_contrast": 0.1,
        "phase_shift": 0.0,
        "b_factor": 0.0,
        "scale": 1.0,
    }
    same = CTFParams(**{name: torch.full((count,), value, dtype=torch.float64) for name, value in usual.items()})
    return replace(same, **changes)


@pytest.mark.parametrize(
    ("degrees", "doubted"),
    [
        (torch.linspace(-1.5, 1.5, 40), True),
        (torch.linspace(0.05, 3.1, 40), True),
        (torch.linspace(-90, 90, 40), False),
        (torch.linspace(-1.5, 6, 40), False),
        # one microscope on one day
        (torch.linspace(1.0, 1.5, 40), False),
        (torch.tensor([0.5, 2.5]).repeat(20), False),
        (torch.zeros(40), False),
    ],
)
def test_angles_of_astigmatism_in_radians(degrees: torch.Tensor, doubted: bool) -> None:
    assert bool(ctf_doubts(ctf(len(degrees), defocus_angle=torch.deg2rad(degrees.double())))) == doubted


@pytest.mark.parametrize(
    ("degrees", "doubted"),
    [
        ([180.0] * 40, True),
        ([-180.0] * 40, True),
        ([171.0, 183.0] * 20, True),
        ([540.0] * 40, True),
        ([0.0] * 20 + [180.0] * 20, True),
        # a phase plate as it charges, and fits that fell on the bound
        (torch.linspace(30, 150, 40).tolist(), False),
        ([90.0] * 38 + [180.0] * 2, False),
        ([0.0] * 40, False),
    ],
)
def test_phase_shifts_that_invert_the_contrast(degrees: list[float], doubted: bool) -> None:
    said = ctf_doubts(ctf(40, phase_shift=torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))))
    assert bool(said) == doubted
    assert all("which inverts the contrast; fix: " in each and "rlnPhaseShift" in each for each in said)


@pytest.mark.parametrize(
    ("value", "doubted"), [(1.0, True), (0.7, True), (0.5, False), (0.1, False), (0.07, False), (0.0, False)]
)
def test_amplitude_contrast_of_no_particle_in_ice(value: float, doubted: bool) -> None:
    said = ctf_doubts(ctf(40, amplitude_contrast=torch.full((40,), value)))
    assert bool(said) == doubted
    assert all(f"the amplitude contrast is {value:g} in all 40 particles (rlnAmp" in each for each in said)


def test_images_without_a_ctf_have_none_to_doubt() -> None:
    assert not ctf_doubts(CTFParams.absent(40))


def test_an_inspection_says_so(star_set: Path) -> None:
    tables = read_star(star_set)
    tables["particles"]["rlnPhaseShift"] = 180.0
    write_star(star_set, tables)
    said = inspect(InspectConfig(particles=star_set)).warnings()
    assert (
        "The phase shift is 180 degrees in all 40 particles (rlnPhaseShift), which inverts the contrast; "
        "fix: set it to 0 if there was no phase plate."
    ) in said
