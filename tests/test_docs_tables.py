"""The tables that the site makes of the configs and of the command line hold every setting and every option."""

import re

import pytest

import option_tables as options
import settings_tables as tables
from cryorbit.api.recipe_table import CONFIGS, WITHOUT_JOB
from cryorbit.api.settings import settings
from cryorbit.cli.main import _VERBS, make_app


def section(text: str, title: str) -> str:
    """What stands below a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(text: str) -> dict[str, str]:
    """Rows of tables by their first cell; a setting by its dotted name."""
    named, group = {}, ""
    for line in text.splitlines():
        if heading := re.match(r"### `\[(.*)\]`", line):
            group = heading[1] + "."
        elif row := re.match(r"\| `([^`]+)`", line):
            named[group + row[1]] = line
    return named


@pytest.mark.parametrize("verb", CONFIGS | WITHOUT_JOB)
def test_every_setting_of_a_verb_is_on_the_page(verb: str) -> None:
    text = tables.settings_tables()
    shared = {name for title in tables.SHARED for name in rows(section(text, title))}
    of_verb = section(text, verb)
    stages = re.findall(r"### `\[(\w+)\]`\n\n[^\n]*\n\nAs for", of_verb)
    listed = rows(of_verb).keys()
    expected = {name for name in settings(verb).index if name.partition(".")[0] not in stages}
    assert expected <= listed | shared
    assert listed <= set(settings(verb).index)


def test_a_setting_has_its_values_default_and_meaning() -> None:
    row = rows(section(tables.settings_tables(), "refine"))["passes.threshold"]
    _, _, values, default, meaning, _ = (cell.strip() for cell in row.split("|"))
    assert (values, default) == ("number, > 0, < 1", "`0.143`")
    assert len(meaning) > 20


def test_no_setting_is_without_a_meaning() -> None:
    assert [
        line for line in tables.settings_tables().splitlines() if line.startswith("| `") and line.endswith("|  |")
    ] == []


@pytest.mark.parametrize("verb", [verb for verb in _VERBS if verb != "mra"])
def test_every_option_of_a_verb_is_on_the_page(verb: str) -> None:
    text = section(options.option_tables(), f"cryorbit {verb}")
    shown = [each for each in make_app()[verb].assemble_argument_collection() if each.show and each.index is None]
    assert [name for each in shown for name in each.names if f"`{name}`" not in text] == []


def test_a_page_asks_for_a_table_by_a_comment() -> None:
    for hook in (tables, options):
        assert hook.on_page_markdown("Text.") == "Text."
    assert "angular_spacing" in tables.on_page_markdown("Text.\n\n<!-- settings -->\n")
    assert "--check-start" in options.on_page_markdown("<!-- options -->\n")


def test_settings_of_a_dataclass_are_described() -> None:
    described = rows(section(tables.settings_tables(), "simulate"))
    assert "kV" in described["microscope.voltage"]
    assert "`[10000.0, 25000.0]`" in described["microscope.defocus_range"]
