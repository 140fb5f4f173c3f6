"""The verb ``settings``: what can be set with ``--config``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from cryorbit.core.setting_list import Setting


def settings(
    *verb: Annotated[str, Parameter(help="Verb, for example refine.")],
    toml: Annotated[
        bool, Parameter(negative="", help="Print a file for --config, in which every setting is a comment.")
    ] = False,
) -> None:
    """List the settings of a verb with their defaults: all that can stand in the file that --config names.

    With --toml the list is such a file: cryorbit settings refine --toml > refine.toml
    """
    from rich.console import Console
    from rich.table import Column, Table

    from cryorbit.api.recipe_table import find_config
    from cryorbit.core.setting_list import REQUIRED, list_settings

    name = " ".join(verb)
    found = list(list_settings(find_config(name)))
    if toml:
        Console().print("\n".join(_file(name, found)), markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(Column("setting", no_wrap=True), "default", "meaning", box=None, padding=(0, 2, 0, 0))
    for each in found:
        default = REQUIRED if each.default == REQUIRED else each.written or "none"
        table.add_row(each.name, default, each.meaning)
    Console().print(table, markup=False, highlight=False)


def _file(verb: str, settings: Iterable[Setting]) -> Iterator[str]:
    """A file of settings that changes nothing until a comment mark is removed."""
    from cryorbit.core.setting_list import REQUIRED

    yield f"# Settings of `cryorbit {verb}` with their defaults: remove the mark before a setting that you change."
    for group, members in groupby(settings, key=lambda each: each.name.rpartition(".")[0]):
        yield ""
        if group:
            yield f"[{group}]"
        for each in members:
            if each.default != REQUIRED:
                yield f"# {each.meaning}"
                yield f"#{each.name.rpartition('.')[2]} = {each.written or ''}".rstrip()
