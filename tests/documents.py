"""What the documentation tells people to type: commands, settings files and Python blocks, read off the pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


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


def indented_blocks(page: Path) -> Iterator[str]:
    """Blocks indented by four spaces, outside of lists and fences, as they are typed."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE):
        yield "\n".join(line[4:] for line in block.strip("\n").splitlines()).replace("\\\n", " ")


def steps(page: Path) -> Iterator[Step]:
    """Commands and settings files of a page, in order; a file begins with its name, ``# settings.toml``."""
    for block in indented_blocks(page):
        named = re.match(r"# (\w+\.toml)\b.*\n", block)
        content = block[named.end() :] if named else block
        lines = content.splitlines()
        typed = next((number for number, line in enumerate(lines) if "cryorbit " in line), len(lines))
        if named:
            yield Step("\n".join(lines[:typed]) + "\n", named[1])
        for line in lines[typed:] if named else lines:
            if found := re.search(r"(?:^|&& )(cryorbit .*?)(?:\s+#.*)?$", line):
                yield Step(found[1])


def python_blocks(page: Path) -> list[str]:
    """Fenced blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def inline_commands(page: Path) -> list[str]:
    """Commands that stand in a line of text, wrapped lines joined."""
    text = re.sub(r"^```.*?^```|^    .*$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(found.split()) for found in re.findall(r"`(cryorbit [^`]+)`", text)]
