"""Formulas of the documentation as MathML, which browsers draw by themselves: no script, no font from elsewhere.

Written as GitHub reads them, too: a block fenced by three backquotes and ``math``, and ``$`...`$`` in a line of text.
"""

import re
from typing import Any
from xml.etree.ElementTree import Element, fromstring

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

INLINE = r"\$`([^`]+)`\$"


def block(source: str, *_: Any, **__: Any) -> str:
    """A displayed formula, one line of LaTeX a row; called by ``pymdownx.superfences``."""
    rows = [convert(row, display="block") for row in source.strip().split("\n\n")]
    return '<div class="formula">' + "".join(rows) + "</div>"


class FormulaInText(InlineProcessor):
    """A formula in a line of text."""

    def handleMatch(self, match: re.Match[str], data: str) -> tuple[Element, int, int]:  # noqa: ARG002, N802
        """The formula as an element, and what it replaces."""
        element = fromstring(convert(match[1]))
        for each in element.iter():
            each.tag = each.tag.rpartition("}")[2]
        return element, match.start(0), match.end(0)


class Mathematics(Extension):
    """Formulas in text; before code, whose backquotes they use."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Enter the pattern."""
        md.inlinePatterns.register(FormulaInText(INLINE, md), "formula", 200)


def on_config(config: Any) -> Any:
    """Give both to the Markdown of the site; called by mkdocs."""
    config["markdown_extensions"].append(Mathematics())
    fences = config["mdx_configs"].setdefault("pymdownx.superfences", {})
    fences["custom_fences"] = [{"name": "math", "class": "formula", "format": block}]
    return config
