"""Mutants are drawn from what runs, each changes one thing, and what becomes of them is told as it is."""

import ast
from pathlib import Path

import pytest

from mutants import find_mutants
from mutation import FLOORS, ROOT, Workshop, draw, require_sound

ADDING = '''"""Adding 1 + 1."""

def add(a: "1 < 2", b: int = 0) -> "not 3":
    """Return a + b, if a < b."""
    if a > 10:
        raise ValueError(f"{a + 1} is too large")
    return a + b
'''
TESTS = """
import pytest
from pack.optim.adding import add

def test_adding():
    assert add(2, 3) == 5
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A package of one module, with tests that leave something out."""
    module, tests = tmp_path / "src" / "pack" / "optim" / "adding.py", tmp_path / "tests" / "optim"
    for folder in (module.parent, tests, tmp_path / "scratch"):
        folder.mkdir(parents=True)
    (module.parents[1] / "__init__.py").touch()
    (module.parent / "__init__.py").touch()
    module.write_text(ADDING)
    (tests / "test_adding.py").write_text(TESTS)
    (tmp_path / "tests" / "pytest.ini").write_text("[pytest]\nmarkers = slow\n  gpu\n  relion\n")
    return Workshop.beside(module.parents[1], tests.parent, tmp_path / "scratch", 60)


def test_only_what_runs_is_changed(workshop: Workshop) -> None:
    found = {(each.kind, each.before, each.after) for each in find_mutants(workshop.package / "optim" / "adding.py")}
    assert found == {
        ("constant", "0", "1"),
        ("condition", "a > 10", "(not a > 10)"),
        ("comparison", "a > 10", "(a >= 10)"),
        ("comparison", "a > 10", "(a < 10)"),
        ("constant", "10", "11"),
        ("statement", 'raise ValueError(f"{a + 1} is too large")', "pass"),
        ("arithmetic", "a + b", "(a - b)"),
    }


def test_what_tests_notice_is_killed_and_what_they_do_not_survives(workshop: Workshop) -> None:
    mutants = {each.after: each for each in find_mutants(workshop.package / "optim" / "adding.py")}
    assert workshop.judge(mutants["(a - b)"]) == "killed"
    assert workshop.judge(mutants["11"]) == "survived"
    assert (workshop.copy / "optim" / "adding.py").read_text() == ADDING


def test_tests_that_fail_by_themselves_kill_nothing(workshop: Workshop) -> None:
    require_sound(workshop, [{"file": "optim/adding.py", "verdict": "killed"}])
    (workshop.tests / "optim" / "test_adding.py").write_text("def test_adding():\n    assert False\n")
    with pytest.raises(RuntimeError, match="fail or take over 60 s without any mutant"):
        require_sound(workshop, [{"file": "optim/adding.py", "verdict": "killed"}])


def test_every_mutant_of_the_package_is_another_program() -> None:
    drawn = draw([ROOT / "src" / "cryorbit" / floor for floor in FLOORS], 100, 1)
    assert len({(each.file, each.start, each.end, each.after) for each in drawn}) == 100
    assert {each.kind for each in drawn} >= {"arithmetic", "comparison", "constant", "condition", "statement"}
    for each in drawn:
        assert ast.dump(ast.parse(each.source())) != ast.dump(ast.parse(each.file.read_bytes())), each


def test_a_seed_draws_the_same_and_another_others() -> None:
    folders = [ROOT / "src" / "cryorbit" / "core"]
    assert draw(folders, 20, 5) == draw(folders, 20, 5)
    assert draw(folders, 20, 5) != draw(folders, 20, 6)


def test_the_tests_of_a_module_come_first() -> None:
    workshop = Workshop(ROOT / "src" / "cryorbit", ROOT, ROOT / "tests", 1)
    files = [file.name for file in workshop.tests_of(Path("inference/mstep.py"))]
    assert files[0] == "test_mstep.py"
    assert files.index("test_gold_standard.py") < files.index("test_groups.py")
    assert sorted(files) == sorted(file.name for file in (ROOT / "tests" / "inference").glob("test_*.py"))
