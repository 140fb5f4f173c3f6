"""The scale of a study as it is chosen on the command line."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cryorbit.core.errors import InputError

Full = Annotated[
    bool | None,
    Parameter(
        negative="--quick",
        help="The largest scale, or one that takes minutes; `reproduce list` says where the largest is not what was "
        "published. Default: --quick.",
    ),
]
Medium = Annotated[bool, Parameter(negative="", help="A scale between the two, of up to about an hour. Default: off.")]


def chosen_scale(full: bool | None, *, medium: bool) -> str | None:
    """Name of the scale that was asked for; None if none was. ``InputError`` if two were."""
    if medium and full is not None:
        named = "--full" if full else "--quick"
        raise InputError(f"{named} and --medium exclude each other", fix="leave one out")
    return "medium" if medium else None if full is None else "full" if full else "quick"
