"""STAR layouts held to RELION's own conversion (``particles_31.star``, by ``relion_convert_star`` 3.1 of the other)."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryorbit.io.relion import relion_tables
from cryorbit.io.star import read_star
from cryorbit.io.star_versions import as_version_30, as_version_31, flat_table
from cryorbit.io.star_writing import write_star
from small_sets import write_stack

HERE = Path(__file__).parent
OLD, NEW = HERE / "particles_30.star", HERE / "particles_31.star"
BOX = 16
SIX_DECIMALS = 0.5001e-6
"""RELION rounds to six decimals."""


def same_tables(ours: dict[str, pd.DataFrame], theirs: dict[str, pd.DataFrame]) -> None:
    """Assert that every column of RELION's is in ours, in the same table, with the same values."""
    for name, table in theirs.items():
        for label in table:
            if pd.api.types.is_numeric_dtype(table[label]):
                np.testing.assert_allclose(ours[name][label], table[label], rtol=0, atol=SIX_DECIMALS, err_msg=label)
            else:
                assert ours[name][label].tolist() == table[label].tolist(), label


def test_the_old_layout_becomes_the_new_one_as_relion_makes_it() -> None:
    tables = relion_tables(read_star(OLD), OLD)
    same_tables(as_version_31(flat_table(tables), tables, BOX), read_star(NEW))


def test_the_new_layout_becomes_the_old_one_it_was_made_from() -> None:
    tables = relion_tables(read_star(NEW), NEW)
    ours = as_version_30(flat_table(tables), tables)["images"]
    theirs = read_star(OLD)["images"]
    # origins were rounded in A, so they are known to six decimals of an A
    same_tables({"images": ours}, {"images": theirs.drop(columns=["rlnOriginX", "rlnOriginY"])})
    for label in ("rlnOriginX", "rlnOriginY"):
        np.testing.assert_allclose(ours[label], theirs[label], rtol=0, atol=1e-6)


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_convert_star") is None, reason="no RELION programs")
def test_relion_reads_both_layouts(tmp_path: Path) -> None:
    tables = relion_tables(read_star(NEW), NEW)
    flat = flat_table(tables)
    write_star(tmp_path / "old.star", as_version_30(flat, tables), mark="")
    write_star(tmp_path / "new.star", as_version_31(flat, tables, BOX))
    (tmp_path / "Extract").mkdir()
    for name, count in {"a": 3, "b": 1}.items():
        images = np.random.default_rng(0).standard_normal((count, BOX, BOX)).astype(np.float32)
        write_stack(tmp_path / "Extract" / f"{name}.mrcs", images, 1.5)
    for command in (
        ["relion_convert_star", "--i", "old.star", "--o", "from_old.star"],
        ["relion_star_handler", "--i", "new.star", "--o", "from_new.star"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    same_tables(read_star(tmp_path / "from_old.star"), read_star(NEW))
    same_tables(read_star(tmp_path / "from_new.star"), read_star(NEW))
