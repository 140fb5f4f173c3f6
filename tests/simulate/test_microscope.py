"""Drawn CTF parameters lie in their ranges and are alike within a micrograph."""

import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.simulate.microscope import Microscope, draw_ctf


def test_ranges_and_micrographs(generator: torch.Generator) -> None:
    microscope = Microscope()
    params, micrograph = draw_ctf(2050, microscope, generator)
    assert micrograph.bincount().tolist() == [100] * 20 + [50]
    mean, difference = (params.defocus_u + params.defocus_v) / 2, params.defocus_u - params.defocus_v
    assert (difference >= 0).all()
    assert (difference <= 400).all()
    assert difference.max() > 300
    for number in range(21):
        members = micrograph == number
        assert float(mean[members].max() - mean[members].min()) <= 400
        for constant in (difference, params.defocus_angle):
            assert float(constant[members].max() - constant[members].min()) < 1e-6
    assert mean.min() >= 10_000 - 200
    assert mean.max() <= 25_000 + 200
    assert float(mean.max() - mean.min()) > 8_000
    assert torch.equal(params.voltage.unique(), torch.tensor([300.0], dtype=torch.float64))
    assert torch.equal(params.spherical_aberration.unique(), torch.tensor([2.7], dtype=torch.float64))


@pytest.mark.parametrize(
    ("wrong", "fix"),
    [
        ({"voltage": 300_000.0}, "300 for 300000 V"),
        ({"spherical_aberration": 0.0027}, "2.7 for 0.0027 m"),
        ({"defocus_range": (1.0, 2.5)}, "defocus_range of a file of settings in Å"),
        ({"defocus_range": (1e8, 2.5e8)}, "--defocus-range in µm"),
    ],
)
def test_values_in_another_unit_are_answered_with_the_unit(wrong: dict, fix: str) -> None:
    with pytest.raises(InputError, match=fix):
        Microscope(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"voltage": 0.0},
        {"amplitude_contrast": 1.0},
        {"defocus_range": (2.0, 1.0)},
        {"particles_per_micrograph": 0},
    ],
)
def test_impossible_microscopes_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        Microscope(**wrong)
