"""The verb ``settings``: what can be set with ``--config``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cryorbit.cli.study_scale import Full, Medium, chosen_scale

if TYPE_CHECKING:
    from cryorbit.core.setting_list import Setting


def settings(
    *verb: Annotated[str, Parameter(help="Verb, for example refine, or reproduce and the name of a study.")],
    toml: Annotated[
        bool, Parameter(negative="", help="Print a file for --config, in which every setting is a comment.")
    ] = False,
    full: Full = None,
    medium: Medium = False,
) -> None:
    """List the settings of a verb with their defaults: all that can stand in the file that --config names.

    With --toml the list is such a file: cryorbit settings refine --toml > refine.toml

    A study has a set of defaults for each scale: cryorbit settings reproduce paul2024_ch4 --full
    """
    from rich.console import Console
    from rich.table import Column, Table

    from cryorbit.core.setting_list import REQUIRED

    name = " ".join(verb)
    found = _listed(name, chosen_scale(full, medium=medium))
    if toml:
        Console().print("\n".join(_file(name, found)), markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(Column("setting", no_wrap=True), "default", "meaning", box=None, padding=(0, 2, 0, 0))
    for each in found:
        default = REQUIRED if each.default == REQUIRED else each.written or "none"
        table.add_row(each.name, default, each.meaning)
    Console().print(table, markup=False, highlight=False)


def _listed(verb: str, scale: str | None) -> list[Setting]:
    """The settings of a verb, those of a study at a scale; ``InputError`` if another verb is to have one."""
    from cryorbit.api.recipe_table import find_config
    from cryorbit.core.errors import InputError
    from cryorbit.core.setting_list import list_settings
    from cryorbit.studies.settings import StudySettings

    config = find_config(verb)
    if scale is None:
        return list(list_settings(config))
    if not issubclass(config, StudySettings):
        raise InputError(f"the settings of `cryorbit {verb}` have no scale", fix=f"leave --{scale} out")
    return list(list_settings(config, chosen={**config.sizes(scale), "scale": scale}))


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
