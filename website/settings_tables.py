"""Tables of the settings of every command, made from the configs when the site is built.

A page asks for them by the comment ``<!-- settings -->``.
"""

from collections.abc import Iterator
from inspect import getdoc
from typing import Any

from pydantic import BaseModel

from cryorbit.api.recipe_table import CONFIGS, WITHOUT_JOB, find_config
from cryorbit.core.setting_list import REQUIRED, Setting, fields_of, is_group
from cryorbit.recipes.settings import JobSettings, ParticleSettings
from markdown_table import table

MARK = "<!-- settings -->"
SHARED: dict[str, type[BaseModel]] = {"Every job": JobSettings, "Every job on particles": ParticleSettings}
"""Settings of several commands: title of their section, and the config that the others extend."""
HEADER = ["setting", "values", "default", "meaning"]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables where a page asks for them; called by mkdocs."""
    return markdown.replace(MARK, settings_tables()) if MARK in markdown else markdown


def settings_tables() -> str:
    """A section a command, in it a table for each group of settings, named as in a file."""
    configs = {verb: find_config(verb) for verb in sorted(CONFIGS | WITHOUT_JOB)}
    parts = [f"## {title}\n\n{_summary(base)}\n\n{_table(base)}" for title, base in SHARED.items()]
    for verb, config in configs.items():
        parts.append(f"## {verb}\n\n{_summary(config)} {_shared_by(config)}".rstrip())
        parts += [_group_text(name, group, set(configs) - {verb}) for name, group in _groups(config)]
    return "\n\n".join(part for part in parts if part)


def _shared_by(config: type[BaseModel]) -> str:
    """Where the settings stand that a command has in common with others."""
    titles = [title.lower() for title, base in SHARED.items() if issubclass(config, base)]
    return f"It also takes the settings of [{titles[-1]}](#{titles[-1].replace(' ', '-')})." if titles else ""


def _groups(group: type, name: str = "") -> Iterator[tuple[str, type]]:
    """A config and the groups within it, by the name of their table in a file."""
    yield name, group
    for key, field in fields_of(group).items():
        if is_group(field):
            yield from _groups(type(field.default), f"{name}.{key}".lstrip("."))


def _group_text(name: str, group: type, verbs: set[str]) -> str:
    """Table of a group under its heading; of one that is a stage with a command of its own, where that is described."""
    heading = f"### `[{name}]`\n\n{_summary(group)}\n\n" if name else ""
    stage, _, inside = name.partition(".")
    if stage in verbs:
        return "" if inside else f"{heading}As for [{stage}](#{stage})."
    rows = _table(group)
    return heading + rows if rows else heading.rstrip()


def _table(group: type) -> str:
    """A row a setting, but for groups and for what a config above it says in the same words."""
    known = {row for base in SHARED.values() if issubclass(group, base) and group is not base for row in _rows(base)}
    return table(HEADER, [row for row in _rows(group) if row not in known])


def _rows(group: type) -> list[tuple[str, str, str, str]]:
    return [_row(Setting(key, field)) for key, field in fields_of(group).items() if not is_group(field)]


def _row(setting: Setting) -> tuple[str, str, str, str]:
    default = f"`{setting.written}`" if setting.written else "none" if setting.default != REQUIRED else REQUIRED
    return f"`{setting.name}`", setting.values, default, setting.meaning


def _summary(group: type) -> str:
    """The first paragraph of a docstring."""
    return " ".join((getdoc(group) or "").partition("\n\n")[0].split())
