"""Damage to bytes, texts and values, drawn by a generator of random numbers."""

from __future__ import annotations

import random
import re
from typing import Any

NUMBERS = [
    "0",
    "-1",
    "1e30",
    "-1e30",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "1e-320",
    "99999999999999999999",
    "0x10",
    "1,5",
    "+",
]
TEXTS = [
    "",
    "None",
    "<NA>",
    "'",
    '"',
    "\\",
    "#",
    "data_",
    "loop_",
    "_rlnImageName",
    "\u202e",
    "é" * 300,
    "@",
    "0@",
    "\t",
    "..",
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 10**400, 1e308, float("nan"), float("inf"), -float("inf"), "", "x", "a" * 5000, "\0"),
    *([], {}, [1], {"a": 1}, [[[[[]]]]], {"": None}, "../../..", "/dev/zero", "\ud800"),
]
"""What stands in the place of a value of JSON or TOML."""
BLOCKS = [b"\0" * 64, b"\xff" * 64, b"\n" * 64, b"\x00\x00\xc0\x7f" * 16, b"{", b'"', b"\xed\xa0\x80", b"PK\x03\x04"]


def damage_bytes(content: bytes, draw: random.Random) -> bytes:
    """The content with bits turned, parts cut out, doubled, overwritten or put in."""
    kind = draw.choice(("bits", "bits", "cut", "end", "double", "overwrite", "insert", "empty"))
    place = draw.randrange(len(content) + 1)
    length = draw.choice((1, 4, 64, 1024, len(content) // 2))
    block = draw.choice(BLOCKS)
    if kind == "bits":
        changed = bytearray(content)
        for _ in range(draw.choice((1, 8, 64)) if content else 0):
            where = draw.randrange(min(len(content), draw.choice((256, 1024, len(content)))))
            changed[where] ^= 1 << draw.randrange(8)
        return bytes(changed)
    if kind == "cut":
        return content[:place] + content[place + length :]
    if kind == "end":
        return content[:place]
    if kind == "double":
        return content[: place + length] + content[place:]
    if kind == "overwrite":
        return content[:place] + block + content[place + len(block) :]
    if kind == "insert":
        return content[:place] + block + content[place:]
    return draw.choice((b"", b"\n", b"\0" * 4096))


def damage_text(text: str, draw: random.Random) -> str:
    """The text with words, lines or the order of lines changed."""
    kind = draw.choice(("word", "word", "word", "drop", "line", "double", "swap", "shift"))
    lines = text.split("\n")
    row = draw.randrange(len(lines))
    if kind == "word":
        words = re.split(r"(\s+)", lines[row])
        words[draw.randrange(len(words))] = draw.choice(NUMBERS + TEXTS)
        lines[row] = "".join(words)
    elif kind == "drop":
        words = lines[row].split(" ")
        lines[row] = " ".join(words[:-1])
    elif kind == "line":
        del lines[row]
    elif kind == "double":
        lines.insert(row, lines[row])
    elif kind == "swap":
        other = draw.randrange(len(lines))
        lines[row], lines[other] = lines[other], lines[row]
    else:
        lines[row] = draw.choice(TEXTS) + " " + lines[row]
    return "\n".join(lines)


def damage_value(value: Any, draw: random.Random) -> Any:
    """A nested value of JSON with one part, at any depth, replaced, left out or doubled."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        name = draw.choice(list(value))
        if draw.random() < 0.15:
            return {key: each for key, each in value.items() if key != name}
        return {**value, name: damage_value(value[name], draw)}
    if isinstance(value, list) and value and draw.random() < 0.9:
        place = draw.randrange(len(value))
        return [*value[:place], damage_value(value[place], draw), *value[place + draw.randrange(2) :]]
    return draw.choice(VALUES)
