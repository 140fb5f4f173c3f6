"""The verb ``settings``: what can be set with ``--config``, and what a preset sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from cryorbit.cli.options import Preset
from cryorbit.cli.study_scale import Full, Medium, chosen_scale

if TYPE_CHECKING:
    from rich.table import Table

    from cryorbit.core.setting_list import Setting


def settings(
    *verb: Annotated[str, Parameter(help="Verb, for example refine, or reproduce and the name of a study.")],
    preset: Preset = None,
    toml: Annotated[
        bool, Parameter(negative="", help="Print a file for --config, in which every setting is a comment.")
    ] = False,
    full: Full = None,
    medium: Medium = False,
) -> None:
    """List the settings of a verb with their defaults: all that can stand in the file that --config names.

    With --preset the list has what the preset sets. With --toml it is a file for --config, in which only what the
    preset sets is no comment: cryorbit settings refine --toml > refine.toml

    A study has a set of defaults for each scale: cryorbit settings reproduce paul2024_ch4 --full
    """
    from rich.console import Console

    from cryorbit.api.recipe_table import find_config
    from cryorbit.recipes.presets import read_preset

    name = " ".join(verb)
    found = _listed(name, chosen_scale(full, medium=medium))
    held = {} if preset is None else read_preset(name, find_config(name), preset)
    if toml:
        Console().print("\n".join(_file(name, found, held)), markup=False, highlight=False, soft_wrap=True)
        return
    Console().print(_defaults(found) if preset is None else _presets(found, held), markup=False, highlight=False)


def _defaults(settings: Iterable[Setting]) -> Table:
    """All settings with their defaults."""
    from rich.table import Column, Table

    table = Table(Column("setting", no_wrap=True), "default", "meaning", box=None, padding=(0, 2, 0, 0))
    for each in settings:
        table.add_row(each.name, _default(each), each.meaning)
    return table


def _presets(settings: Iterable[Setting], held: Mapping[str, Any]) -> Table:
    """The settings that a preset holds, beside their defaults."""
    from rich.table import Column, Table

    table = Table(Column("setting", no_wrap=True), "preset", "default", "meaning", box=None, padding=(0, 2, 0, 0))
    for each in settings:
        value = each.written_in(held)
        if value is not None:
            table.add_row(each.name, value, _default(each), each.meaning)
    return table


def _default(setting: Setting) -> str:
    from cryorbit.core.setting_list import REQUIRED

    return REQUIRED if setting.default == REQUIRED else setting.written or "none"


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


def _file(verb: str, settings: Iterable[Setting], held: Mapping[str, Any]) -> Iterator[str]:
    """A file of settings that sets what is held, and changes nothing else until a comment mark is removed."""
    from cryorbit.core.setting_list import REQUIRED

    yield f"# Settings of `cryorbit {verb}` with their defaults: remove the mark before a setting that you change."
    for group, members in groupby(settings, key=lambda each: each.name.rpartition(".")[0]):
        yield ""
        if group:
            yield f"[{group}]"
        for each in members:
            if each.default != REQUIRED:
                value = each.written_in(held)
                mark, written = ("#", each.written) if value is None else ("", value)
                yield f"# {each.meaning}"
                yield f"{mark}{each.name.rpartition('.')[2]} = {written or ''}".rstrip()
