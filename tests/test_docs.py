"""The documentation speaks of what is there: settings, verbs, files."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from cryorbit.cli.main import _VERBS
from cryorbit.recipes.abinit import AbinitConfig
from cryorbit.recipes.abinit.run import ITERATIONS
from cryorbit.recipes.refine import RefineConfig

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
GROUPS = {
    group: field.annotation
    for config in (AbinitConfig, RefineConfig)
    for group, field in config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


def anchors(page: Path) -> set[str]:
    """Names that the headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^    .*$", "", page.read_text(), flags=re.MULTILINE)
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", prose)
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_settings_in_the_pages_exist() -> None:
    pattern = re.compile(rf"`({'|'.join(GROUPS)})\.(\w+)")
    named = {match for page in PAGES for match in pattern.findall(page.read_text())}
    assert len(named) > 10
    assert [f"{group}.{name}" for group, name in named if name not in GROUPS[group].model_fields] == []


def test_the_page_on_ab_initio_has_every_stage() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "abinitio.md").read_text(), re.MULTILINE)
    assert rows == list(ITERATIONS)


def test_the_readme_has_every_verb() -> None:
    rows = re.findall(r"^\| `cryorbit (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(rows) == set(_VERBS)


def test_every_page_is_in_the_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text()
    assert all(page.name in contents for page in (ROOT / "docs").glob("*.md"))


def test_commands_in_the_pages_are_verbs() -> None:
    commands = re.compile(r"(?:`|^ {4})cryorbit ([a-z]+)", re.MULTILINE)
    named = {verb for page in PAGES for verb in commands.findall(page.read_text())}
    assert len(named) > 10
    assert named <= set(_VERBS)
