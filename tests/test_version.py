"""One version: the package, the citation and the change log say the same."""

import re
import tomllib

import pytest
import yaml
from packaging.version import Version

from cryorbit import __version__
from documents import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def sections(changelog: str) -> list[tuple[str, str | None]]:
    """Versions of a change log, as they stand, with their dates; ``Unreleased`` has none."""
    return re.findall(r"^## \[([^\]]+)\](?: - (\d{4}-\d\d-\d\d))?$", changelog, re.MULTILINE)


def disagreements(version: str, changelog: str, citation: dict) -> list[str]:
    """What a change log and a citation say otherwise than the version of the package."""
    found, (newest, date), *released = [], *sections(changelog)
    if str(citation["version"]) != version:
        found.append("CITATION.cff has another version")
    if Version(version).is_devrelease:
        if newest != "Unreleased":
            found.append("CHANGELOG.md does not begin with Unreleased")
        if "date-released" in citation:
            found.append("CITATION.cff dates what is not released")
    else:
        if newest != version:
            found.append("CHANGELOG.md does not begin with the version")
        if not date or str(citation.get("date-released")) != date:
            found.append("CHANGELOG.md and CITATION.cff have not the same date")
    order = [Version(version), *(Version(name) for name, _ in released)]
    if order != sorted(set(order), reverse=True):
        found.append("CHANGELOG.md is not ordered from the newest to the oldest")
    return found


def test_version_citation_and_change_log_agree() -> None:
    assert disagreements(__version__, CHANGELOG, CITATION) == []


@pytest.mark.parametrize(
    ("version", "heads", "citation", "problem"),
    [
        ("1.1.dev0", ["[Unreleased]", "[1.0] - 2025-01-31"], {"version": "1.1.dev0"}, None),
        ("1.1", ["[1.1] - 2025-03-01"], {"version": "1.1", "date-released": "2025-03-01"}, None),
        ("1.1.dev0", ["[Unreleased]"], {"version": "1.0"}, "another version"),
        ("1.1.dev0", ["[1.1] - 2025-03-01"], {"version": "1.1.dev0"}, "Unreleased"),
        ("1.1.dev0", ["[Unreleased]"], {"version": "1.1.dev0", "date-released": "2025-03-01"}, "not released"),
        ("1.1", ["[Unreleased]"], {"version": "1.1", "date-released": "2025-03-01"}, "begin with the version"),
        ("1.1", ["[1.1] - 2025-03-01"], {"version": "1.1", "date-released": "2025-03-02"}, "the same date"),
        ("1.1.dev0", ["[Unreleased]", "[1.0] - 2025-01-31", "[1.1] - 2025-03-01"], {"version": "1.1.dev0"}, "ordered"),
    ],
)
def test_a_disagreement_is_found(version: str, heads: list[str], citation: dict, problem: str | None) -> None:
    found = disagreements(version, "\n\n".join(f"## {head}" for head in heads), citation)
    assert problem in found[0] if problem else found == []


def test_the_citation_is_complete() -> None:
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["title"] == PROJECT["name"]
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["authors"] == PROJECT["authors"]
    assert CITATION["repository-code"] == PROJECT["urls"]["Homepage"]
    assert CITATION["message"]
