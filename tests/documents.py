"""What the documentation tells people to type: commands, settings files and Python blocks, read off the pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r'^( *)```(\w*)(?: title="([^"]+)")?\n(.*?)^ *```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes
    ----------
    language
        What the fence says: ``sh`` (commands), ``toml``, ``python``, ``json``, ``text`` (output), ``math``, ...
    text
        Its lines, without the indentation of the fence.
    title
        Name of the file whose content it is, or None.
    """

    language: str
    text: str
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A command to type, or a file to write first.

    Attributes
    ----------
    text
        The command from ``cryorbit`` on, or the content of the file.
    file
        Name of the file, or None for a command.
    """

    text: str
    file: str | None = None


def page_name(page: Path) -> str:
    """A page by its place in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """Fenced blocks of a page, in order."""
    for indentation, language, title, text in FENCE.findall(page.read_text()):
        yield Block(language, re.sub(rf"^{indentation}", "", text, flags=re.MULTILINE), title or None)


def steps(page: Path) -> Iterator[Step]:
    """Commands and settings files of a page, in order; a settings file is named after its verb or study."""
    for block in blocks(page):
        if block.language == "toml":
            yield Step(block.text, block.title or "")
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                if found := re.search(r"(?:^|&& )(cryorbit .*?)(?:\s+#.*)?$", line):
                    yield Step(found[1])


def python_blocks(page: Path) -> list[str]:
    """Blocks of Python."""
    return [block.text for block in blocks(page) if block.language == "python"]


def prose(page: Path) -> str:
    """The text of a page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def inline_commands(page: Path) -> list[str]:
    """Commands that stand in a line of text, wrapped lines joined."""
    return [" ".join(found.split()) for found in re.findall(r"`(cryorbit [^`]+)`", prose(page))]
