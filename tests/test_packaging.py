"""The commands of the recipe for conda and of the Containerfile work in a fresh environment, without a network.

The environment is a new one that borrows the libraries of this one; the package itself is built and installed into it.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

from cryorbit import __version__
from documents import ROOT

PACKAGING = ROOT / "packaging"
RECIPE = yaml.safe_load((PACKAGING / "conda" / "recipe.yaml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"matplotlib": "matplotlib-base", "torch": "pytorch"}
"""Distributions that conda-forge has under another name."""

OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
"""What is installed already is enough, the build backend too (0 is how pip spells that there be no isolation)."""


class Environment:
    """A virtual environment of its own, with the libraries of the one that runs the tests."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self.scripts = folder / "bin"
        own = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
        borrowed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        # as plain paths: files ending in .pth that lie there, of editable installations, are not followed
        (own / "borrowed.pth").write_text("\n".join(borrowed))

    def run(self, command: str, folder: Path) -> str:
        """Standard output of a shell command; what went wrong is in the error."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
        variables = {**clean, **OFFLINE, "PATH": f"{self.scripts}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(command, shell=True, cwd=folder, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout


@pytest.fixture
def fresh(tmp_path: Path) -> Environment:
    """An environment without cryorbit."""
    environment = Environment(tmp_path / "environment")
    with pytest.raises(AssertionError, match="No module named 'cryorbit'"):
        environment.run("python -c 'import cryorbit'", tmp_path)
    return environment


def instructions(containerfile: str) -> list[tuple[str, str]]:
    """Instructions of a Containerfile with their arguments, continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", containerfile)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def copy(argument: str, folder: Path) -> None:
    """Do what COPY does, from the root of the repository to the working folder."""
    *sources, target = shlex.split(argument)
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, folder / target)


@pytest.mark.slow
def test_the_recipe_builds_and_its_tests_pass(fresh: Environment, tmp_path: Path) -> None:
    source = (PACKAGING / "conda" / RECIPE["source"]["path"]).resolve()
    assert source == ROOT
    fresh.run(RECIPE["build"]["script"], source)
    imports, commands = RECIPE["tests"]
    fresh.run(f"python -c 'import {', '.join(imports['python']['imports'])}'", tmp_path)
    for command in commands["script"]:
        assert fresh.run(command, tmp_path)
    assert fresh.run("cryorbit --version", tmp_path).strip() == __version__
    installed = fresh.run("python -c 'import cryorbit; print(cryorbit.__file__)'", tmp_path)
    assert Path(installed.strip()).with_name("py.typed").is_file()
    assert fresh.scripts.parent in Path(installed.strip()).parents


@pytest.mark.slow
def test_the_container_builds(fresh: Environment, tmp_path: Path) -> None:
    folder = tmp_path / "container"
    folder.mkdir()
    steps = instructions((PACKAGING / "Containerfile").read_text())
    for name, argument in steps:
        if name == "COPY":
            copy(argument, folder)
        elif name == "RUN":
            fresh.run(argument, folder)
    start = [word for name in ("ENTRYPOINT", "CMD") for word in yaml.safe_load(dict(steps)[name])]
    assert " abinit " in fresh.run(shlex.join(start), tmp_path)


def test_the_recipe_requires_what_the_package_requires() -> None:
    names = {re.match(r"[\w-]+", requirement)[0]: requirement for requirement in PROJECT["dependencies"]}
    expected = {requirement.replace(name, CONDA_NAMES.get(name, name), 1) for name, requirement in names.items()}
    python = f"python{PROJECT['requires-python']}"
    assert {line.replace(" ", "") for line in RECIPE["requirements"]["run"]} == expected | {python}


def test_the_recipe_describes_this_package() -> None:
    assert RECIPE["context"]["version"] == __version__
    assert RECIPE["package"]["name"] == PROJECT["name"]
    assert RECIPE["build"]["python"]["entry_points"] == [f"{name} = {to}" for name, to in PROJECT["scripts"].items()]
    about = RECIPE["about"]
    assert (about["summary"], about["license"]) == (PROJECT["description"], PROJECT["license"])
    assert about["homepage"] == PROJECT["urls"]["Homepage"]
    assert (ROOT / about["license_file"]).is_file()


def test_instructions_are_read_off_a_containerfile() -> None:
    text = "# RUN nothing\nFROM python\n\nRUN pip install \\\n    numpy\nCOPY a b/\n"
    assert instructions(text) == [("FROM", "python"), ("RUN", "pip install  numpy"), ("COPY", "a b/")]
