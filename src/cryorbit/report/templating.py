"""Templates of the pages."""

from __future__ import annotations

import jinja2

from cryorbit.core.readable import duration, percent
from cryorbit.report.look import class_colour


def load_template(name: str) -> jinja2.Template:
    """Load a page's template, with the filters that pages use."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cryorbit.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["known"] = _known
    environment.filters["percent"] = _percent
    environment.filters["duration"] = _duration
    environment.globals["class_colour"] = class_colour
    return environment.get_template(name)


def _known(value: object, form: str) -> str:
    """Format a value, or a dash where there is none or it is not a number."""
    return "–" if value is None or value != value else form.format(value)


def _percent(value: float | None, digits: int = 0) -> str:
    """Write a fraction as a percentage, or a dash where there is none."""
    return "–" if value is None or value != value else percent(value, digits)


def _duration(seconds: float | None) -> str:
    """Write a time, or a dash where there is none."""
    return "–" if seconds is None else duration(seconds)
