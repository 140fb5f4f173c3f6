"""Å, µ and the like where the encoding of the terminal or file has no such characters."""

from __future__ import annotations

import codecs
import io
import sys

PLAIN = {"Å": "A", "²": "^2", "µ": "u", "±": "+-", "×": "x", "–": "-", "…": "...", "≥": ">=", "≤": "<="}
"""What is written in place of them; of others a question mark."""
HANDLER = "cryorbit.plain"


def write_plainly() -> None:
    """Have standard output and error write what they can in place of a character that they cannot."""
    codecs.register_error(HANDLER, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in lost), error.end
