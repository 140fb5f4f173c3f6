"""Tilt series are told by the doses of a micrograph; movies and images of one dose are none."""

import pandas as pd
import pytest

from cryorbit.io.tilt_series import tilts


@pytest.mark.parametrize(
    ("doses", "found"),
    [
        pytest.param([1.7 + 3 * n for n in range(35)], 35, id="a tilt series"),
        pytest.param([0.0] * 35, None, id="one dose"),
        pytest.param([0.0, 1.5] * 17, None, id="two exposures"),
    ],
)
def test_doses_of_a_micrograph(doses: list[float], found: int | None) -> None:
    one, other = (
        pd.DataFrame({"rlnMicrographName": name, "rlnMicrographPreExposure": doses}) for name in ("a.mrc", "b.mrc")
    )
    assert tilts(pd.concat([one, other])) == found


def test_micrographs_of_growing_dose_are_no_tilt_series() -> None:
    table = pd.DataFrame({"rlnMicrographName": list("abcdefgh"), "rlnMicrographPreExposure": range(8)})
    assert tilts(table) is None


def test_a_table_without_doses_tells_nothing() -> None:
    assert tilts(pd.DataFrame({"rlnMicrographName": ["a"] * 9})) is None
