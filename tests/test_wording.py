"""What the program says is plain English: every text in the package, help, descriptions and messages alike."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import cryorbit
from wording import NO_SUCH, STIFF

ROOT = Path(cryorbit.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))


def texts(module: Path) -> Iterator[str]:
    """Texts of a module, those in pieces as one, without docstrings."""
    tree = ast.parse(module.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | pieces:
            yield node.value


def test_texts_are_found() -> None:
    found = list(texts(ROOT / "io" / "star.py"))
    assert "the file holds no data block" in found
    assert any(text.startswith("a second block data_X") for text in found)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.relative_to(ROOT).as_posix())
def test_the_program_speaks_plainly(module: Path) -> None:
    assert [text for text in texts(module) if STIFF.search(text) or NO_SUCH.search(text)] == []
