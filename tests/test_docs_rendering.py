"""Pages as the site draws them: lists are lists, blocks are fenced, formulas are MathML."""

import re
from pathlib import Path
from typing import Any

import pytest

from documents import FENCE, PAGES, ROOT, page_name

markdown = pytest.importorskip("markdown")
mathematics = pytest.importorskip("mathematics")
mkdocs_config = pytest.importorskip("mkdocs.config")


@pytest.fixture(scope="module")
def renderer() -> Any:
    """The Markdown of the site, with its extensions."""
    config = mathematics.on_config(mkdocs_config.load_config(str(ROOT / "mkdocs.yml")))
    return markdown.Markdown(extensions=config["markdown_extensions"], extension_configs=config["mdx_configs"])


def faults(source: str, html: str) -> list[str]:
    """What a page was meant to show and does not: items of lists within a paragraph, blocks without a fence."""
    fenced = [language for _, language, _, _ in FENCE.findall(source) if language != "math"]
    bare = re.sub(r"<(pre|math).*?</\1>", "", html, flags=re.DOTALL)
    swallowed = re.findall(
        r"<(?:p|li)>(?:(?!</p>|</li>|<[uo]l).)*?^((?:\d+\.|[-*]) .*)$", bare, re.MULTILINE | re.DOTALL
    )
    tables = re.findall(r"^\| .*$", bare, re.MULTILINE)
    fences = re.findall(r"```.*", bare)
    indented = ["blocks without a fence"] if html.count("<pre>") != len(fenced) else []
    return [*swallowed, *tables, *fences, *indented]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_a_page_renders_as_it_was_meant(page: Path, renderer: Any) -> None:
    source = page.read_text()
    assert faults(source, renderer.reset().convert(source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "Text\n- one\n- two\n",
        "1. one\n\n        code\n    more text\n2. two\n",
        "Text\n\n    cryorbit demo\n",
        "Text\n| a | b |\n| --- | --- |\n",
        "1. one\n\n  ```sh\n  cryorbit demo\n",
    ],
)
def test_what_does_not_render_is_found(source: str, renderer: Any) -> None:
    assert faults(source, renderer.reset().convert(source))


def test_formulas_are_drawn_without_a_script(renderer: Any) -> None:
    html = renderer.reset().convert("With $`\\tau^2`$:\n\n```math\nD / (W + 1/\\tau^2)\n```\n")
    assert html.count("<math") == 2
    assert "<msup><mi>τ</mi><mn>2</mn></msup>" in html.replace("&#x003C4;", "τ")
    assert "script" not in html


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_formula_is_read(page: Path, renderer: Any) -> None:
    # what latex2mathml does not know, it writes out with its backslash
    formulas = re.findall(r"<math.*?</math>", renderer.reset().convert(page.read_text()), re.DOTALL)
    assert [formula for formula in formulas if "\\" in formula] == []
