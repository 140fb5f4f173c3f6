"""The documentation speaks of what is there: settings, verbs, files."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

import option_tables as options
import settings_tables as tables
from cryorbit.cli.main import _VERBS
from cryorbit.recipes.abinit import AbinitConfig
from cryorbit.recipes.abinit.run import ITERATIONS
from cryorbit.recipes.refine import RefineConfig
from documents import PAGES, ROOT, blocks, inline_commands, page_name, prose, steps
from wording import STIFF

GROUPS = {
    group: field.annotation
    for config in (AbinitConfig, RefineConfig)
    for group, field in config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


def anchors(page: Path) -> set[str]:
    """Names that the headings of a page can be linked by."""
    text = options.on_page_markdown(tables.on_page_markdown(prose(page)))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", prose(page))
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
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if f" {page}\n" not in contents] == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_pictures_are_written_in_markdown(page: Path) -> None:
    # the site leaves the addresses in HTML as they are, and serves every page from a folder of its own
    assert "<img" not in prose(page)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_pages_are_written_plainly(page: Path) -> None:
    text = re.sub(r"`[^`]*`|\"[^\"]*\"", "", prose(page))
    assert STIFF.findall(text) == []
    assert re.findall(r"\d A\b(?!\.)", re.sub(r"<div>.*?</div>", "", text, flags=re.DOTALL)) == []


LANGUAGES = {"sh", "toml", "python", "json", "text", "math"}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_block_says_what_it_is(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES
    assert page.read_text().count("```") == 2 * len(list(blocks(page)))


def test_commands_in_the_pages_are_verbs() -> None:
    typed = [step.text for page in PAGES for step in steps(page) if step.file is None]
    named = {command.split()[1] for command in [*typed, *(each for page in PAGES for each in inline_commands(page))]}
    assert len(named) > 10
    assert {verb for verb in named if not verb.startswith("-")} - {"VERB"} <= set(_VERBS)
