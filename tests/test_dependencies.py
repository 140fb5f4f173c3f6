"""What is required is imported, and what is imported is required: the package and its tests, read off the source."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points, packages_distributions

import pytest

from documents import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = PROJECT["project"]["dependencies"]
TEST = PROJECT["project"]["optional-dependencies"]["test"]
DOCS = PROJECT["project"]["optional-dependencies"]["docs"]
GPU = PROJECT["project"]["optional-dependencies"]["gpu"]
BUILD = PROJECT["build-system"]["requires"]


def canonical(requirement: str) -> str:
    """Name of the distribution that a requirement asks for, as package indexes compare names."""
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def names(requirements: Iterable[str]) -> set[str]:
    return {canonical(each) for each in requirements}


@cache
def provided_by() -> dict[str, list[str]]:
    """Distributions that provide each top-level module of this environment."""
    return dict(packages_distributions())


def imported_roots(source: str) -> set[str]:
    """Top-level modules that a file imports, anywhere in it."""
    roots = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            roots.add(node.module.partition(".")[0])
    return roots


def imported_distributions(*folders: str) -> set[str]:
    """Third-party distributions that the files below some folders of the repository import."""
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    # what stands in the folders themselves is imported by its bare name
    beside = (ROOT / "website").glob("*.py")
    own = {"cryorbit", *(file.stem for file in (*files, *beside)), *(file.parent.name for file in files)}
    roots = set().union(*(imported_roots(file.read_text()) for file in files)) - set(sys.stdlib_module_names) - own
    # there for type checkers alone
    roots.discard("_typeshed")
    return {canonical(provided_by().get(root, [root])[0]) for root in roots}


def test_the_package_requires_what_it_imports_and_no_more() -> None:
    assert imported_distributions("src") == names([*RUNTIME, *GPU])


def test_triton_is_imported_by_its_kernels_alone() -> None:
    package = ROOT / "src" / "cryorbit"
    files = [file for file in package.rglob("*.py") if "triton" in imported_roots(file.read_text())]
    assert {file.parent for file in files} == {package / "kernels" / "fused"}


def test_the_tests_require_what_they_import() -> None:
    assert imported_distributions("tests", "benchmarks") <= names([*RUNTIME, *TEST, *GPU])


def test_the_documentation_requires_what_it_imports() -> None:
    assert imported_distributions("website") <= names([*RUNTIME, *DOCS])


def test_the_tests_require_no_more() -> None:
    plugins = {canonical(each.dist.name) for each in entry_points(group="pytest11") if each.dist}
    assert names(TEST) - imported_distributions("tests", "benchmarks") <= plugins | names(BUILD)


def test_a_tested_version_is_pinned_for_every_requirement() -> None:
    pins = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    extras = PROJECT["project"]["optional-dependencies"]
    required = names([*RUNTIME, *TEST, *GPU, *extras["lint"], *extras["docs"]])
    assert required <= names(pins)


@pytest.mark.parametrize(
    ("requirement", "name"),
    [("numpy>=2.0", "numpy"), ("mkdocstrings[python]>=0.27", "mkdocstrings"), ("A_b.c", "a-b-c")],
)
def test_names_are_read_off_requirements(requirement: str, name: str) -> None:
    assert canonical(requirement) == name


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import os.path\ndef f():\n    from scipy.sparse import linalg\nfrom . import near\n"
    assert imported_roots(source) == {"os", "scipy"}
