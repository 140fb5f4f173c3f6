"""FSC curves in three formats hold the same numbers."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryorbit.io.fsc_files import write_fsc
from cryorbit.io.star import read_star

FREQUENCY = np.arange(9) / 32.0
CURVES = {"corrected": np.linspace(1, 0.1, 9), "unmasked": np.linspace(1, 0.0, 9)}


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    write_fsc(tmp_path / "fsc_3.2A", FREQUENCY, CURVES, "map <1> & 2", {"rlnFinalResolution": 3.2})
    return tmp_path / "fsc_3.2A"


def test_star_has_relions_labels(stem: Path) -> None:
    tables = read_star(f"{stem}.star")
    assert tables["general"].to_dict("records") == [{"rlnFinalResolution": 3.2}]
    fsc = tables["fsc"]
    assert fsc["rlnSpectralIndex"].tolist() == list(range(9))
    np.testing.assert_array_equal(fsc["rlnResolution"], FREQUENCY)
    np.testing.assert_array_equal(fsc["rlnAngstromResolution"], [999.0, *(32.0 / np.arange(1, 9))])
    np.testing.assert_array_equal(fsc["rlnFourierShellCorrelationCorrected"], CURVES["corrected"])
    np.testing.assert_array_equal(fsc["rlnFourierShellCorrelationUnmaskedMaps"], CURVES["unmasked"])


def test_xml_holds_the_first_curve(stem: Path) -> None:
    root = ElementTree.parse(f"{stem}.xml").getroot()
    assert root.tag == "fsc"
    assert root.attrib == {
        "title": "map <1> & 2",
        "xaxis": "Resolution (A-1)",
        "yaxis": "Correlation Coefficient",
    }
    points = np.array([[float(point.findtext("x") or ""), float(point.findtext("y") or "")] for point in root])
    np.testing.assert_allclose(points, np.stack([FREQUENCY, CURVES["corrected"]], axis=1), atol=6e-7)


def test_csv_holds_all_curves(stem: Path) -> None:
    table = pd.read_csv(f"{stem}.csv")
    assert list(table.columns) == ["spatial_frequency_per_A", "corrected", "unmasked"]
    np.testing.assert_array_equal(table["unmasked"], CURVES["unmasked"])


def test_undefined_shells_are_left_out_of_xml_and_general_out_of_star(tmp_path: Path) -> None:
    write_fsc(tmp_path / "fsc", FREQUENCY, {"a": np.array([np.nan, *CURVES["unmasked"][1:]])}, "t")
    assert len(ElementTree.parse(tmp_path / "fsc.xml").getroot()) == 8
    assert list(read_star(tmp_path / "fsc.star")) == ["fsc"]
    assert np.isnan(read_star(tmp_path / "fsc.star")["fsc"]["a"][0])
