"""Turns of phrase that nobody would say to a colleague at the microscope."""

import re

STIFF = re.compile(
    r"\b(mends?|mended|found out|(?:is|are|was|be) told|in good order|as it was before|the whole way|anew"
    r"|asked of|of which a query|worth its while|keeps? nobody|what comes out)\b"
)
NO_SUCH = re.compile(r"(?<!there )\b(?:is|are) no (?!longer\b|more\b|such\b)")
"""``is no number`` for ``is not a number``."""
