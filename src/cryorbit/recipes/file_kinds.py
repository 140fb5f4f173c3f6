"""Suffixes by which verbs that take maps and particles alike tell one from the other."""

from __future__ import annotations

TABLES, MAPS = (".star", ".cs"), (".mrc", ".map", ".ccp4")
