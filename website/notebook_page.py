"""Run an example notebook and write it with its output as a page of the documentation.

``python website/notebook_page.py`` writes ``docs/notebook_first_map.md`` and its pictures; about a minute on one core.
"""

import ast
import base64
import json
import os
import re
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTEBOOK = ROOT / "examples" / "first_map.ipynb"
PAGE = DOCS / "notebook_first_map.md"
ABOUT = """!!! note
    This is the notebook [first_map.ipynb](https://github.com/cryorbit/cryorbit/blob/main/examples/first_map.ipynb), run
    from top to bottom. [Python and notebooks](python.md) explains the interface."""


def write_page() -> None:
    """Write the page; the notebook is run in a folder that is removed afterwards."""
    for old in (DOCS / "images").glob(f"{PAGE.stem}_*.png"):
        old.unlink()
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        parts = list(shown_cells(json.loads(NOTEBOOK.read_text())["cells"]))
        os.chdir(before)
    parts.insert(1, ABOUT)
    PAGE.write_text("\n\n".join(parts) + "\n")


def shown_cells(cells: list[dict[str, Any]]) -> Iterator[str]:
    """The cells of a notebook as Markdown, each followed by what it shows."""
    names: dict[str, Any] = {}
    for number, cell in enumerate(cells, start=1):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield in_the_docs(source)
        else:
            yield f"```python\n{source}\n```"
            yield output(run_cell(source, names), number)


def in_the_docs(text: str) -> str:
    """Text of a notebook with its links as they lead from the page."""
    return re.sub(r"\]\((\w+\.ipynb)\)", r"](https://github.com/cryorbit/cryorbit/blob/main/examples/\1)", text)


def run_cell(source: str, names: dict[str, Any]) -> object:
    """Run a cell and return the value of its last line."""
    *before, last = ast.parse(source).body
    exec(compile(ast.Module(before, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None


def output(value: object, number: int) -> str:
    """What a notebook shows of a value: its HTML, the pictures in it as files."""
    html: str = value._repr_html_() if hasattr(value, "_repr_html_") else f"<pre>{value!r}</pre>"
    for picture in re.findall(r"data:image/png;base64,[^\"']+", html):
        file = DOCS / "images" / f"{PAGE.stem}_{number}.png"
        save_picture(base64.b64decode(picture.partition(",")[2]), file)
        html = html.replace(picture, f"images/{file.name}")
    # a blank line would end the block of HTML
    html = re.sub(r"\n\s*\n", "\n", html.replace(f"{Path.cwd()}/", ""))
    return as_markdown(f"<div>{html}</div>")


def as_markdown(html: str) -> str:
    """HTML with its pictures as Markdown, whose links the site knows, and tables in its own style."""
    html = re.sub(r'<img src="([^"]+)" alt="([^"]*)"[^>]*>', r"</div>\n\n![\2](\1)\n\n<div>", html)
    return html.replace(' border="1" class="dataframe"', "").replace("\n\n<div></div>", "")


def save_picture(png: bytes, file: Path) -> None:
    """A figure in 128 colours, a third of its size."""
    Image.open(BytesIO(png)).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    write_page()
