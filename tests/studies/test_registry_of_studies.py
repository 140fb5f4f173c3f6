"""The list of what can be reproduced, mistakes on the command line, and tables."""

from pathlib import Path

import pytest

from cryorbit.cli.main import main
from cryorbit.studies import REPRODUCTIONS
from cryorbit.studies.tables import as_markdown


def test_the_list_names_every_entry(capsys: pytest.CaptureFixture[str]) -> None:
    main(["reproduce", "list"])
    shown = capsys.readouterr().out
    for name, entry in REPRODUCTIONS.items():
        # the name stands by itself, and below its title is what --full is not
        assert f"{name}  " in shown
        assert f"--full: {entry.full}" in shown
        assert callable(entry.run)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nothing", "-o", "x"], "nothing to reproduce"),
        (["paul2024_ch4"], "no folder"),
        (["paul2024_ch4", "-o", "x", "--full", "--medium"], "leave one out"),
        (["toader2023", "-o", "x", "--medium"], "choose one of quick, full"),
    ],
)
def test_mistakes_are_told(
    arguments: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["reproduce", *arguments])
    assert end.value.code == 2
    assert problem in capsys.readouterr().err


def test_a_markdown_table_has_title_rows_and_notes() -> None:
    rows = [{"method": "a", "passes": 1}, {"method": "b", "passes": 2}]
    text = as_markdown(rows, "Title", ["note"])
    assert text.splitlines() == [
        *("# Title", "", "| method | passes |", "| --- | --- |", "| a | 1 |", "| b | 2 |", "", "- note")
    ]
