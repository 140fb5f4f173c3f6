"""What is said of a .cs file names its fields, not RELION's labels."""

from pathlib import Path

import numpy as np
import pytest

from cryorbit.core.errors import InputError
from cryorbit.io.checks import check_particles
from cryorbit.io.particles import read_particles
from cryorbit.recipes.inspect import InspectConfig
from cryorbit.recipes.inspect import run as inspect


def test_values_that_cannot_be_are_told_by_their_fields(cs_set: Path) -> None:
    handed = cs_set.with_name("J7_passthrough_particles.cs")
    records = np.load(handed)
    records["ctf/phase_shift_rad"] = 90.0
    with handed.open("wb") as file:
        np.save(file, records)
    with pytest.raises(InputError) as caught:
        check_particles(read_particles(cs_set))
    said = str(caught.value)
    assert "a phase shift outside -360 to 360 degrees (ctf/phase_shift_rad)" in said
    assert "fix: give the phase shift in degrees (in radians in a .cs file)" in said
    told = " ".join(inspect(InspectConfig(particles=cs_set)).warnings())
    assert "ctf/phase_shift_rad" in told
    assert "rln" not in said + told
