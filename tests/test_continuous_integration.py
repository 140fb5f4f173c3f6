"""Hooks and workflow run the checks of ``.ci/run`` and no others, on the versions of Python that are promised."""

import tomllib

import yaml

from documents import ROOT

RUN = (ROOT / ".ci" / "run").read_text().splitlines()
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
CHECKS = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["checks"]
REQUIRES = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]


def test_hooks_are_checks_of_the_run_and_download_nothing() -> None:
    assert [repository["repo"] for repository in HOOKS["repos"]] == ["local"]
    hooks = [hook for repository in HOOKS["repos"] for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {hook["entry"] for hook in hooks} <= set(RUN)
    assert len(hooks) >= 3


def test_the_workflow_is_the_run_on_the_oldest_python_and_a_newer_one() -> None:
    assert [step["run"] for step in CHECKS["steps"] if "run" in step] == [".ci/run"]
    oldest, *newer = CHECKS["strategy"]["matrix"]["python"]
    assert f">={oldest}" == REQUIRES
    assert newer


def test_the_run_installs_the_tested_versions_and_runs_all_tests() -> None:
    assert "python -m pip install --quiet -c constraints.txt -e '.[dev]'" in RUN
    assert RUN[-1] == "python -m pytest"


def test_templates_are_in_their_form() -> None:
    for file in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(file.read_text())
        assert {"name", "description", "body"} <= set(form), file.name
        names = [field["id"] for field in form["body"]]
        assert len(set(names)) == len(names), file.name
        assert all(field["attributes"]["label"] for field in form["body"]), file.name
