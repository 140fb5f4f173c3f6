"""Tables of the options of every command, made from the command line when the site is built.

A page asks for them by the comment ``<!-- options -->``.
"""

from collections.abc import Iterator
from typing import Any

from cyclopts import App
from cyclopts.argument import Argument

from cryorbit.cli.main import _VERBS, make_app
from markdown_table import table

MARK = "<!-- options -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables where a page asks for them; called by mkdocs."""
    return markdown.replace(MARK, option_tables()) if MARK in markdown else markdown


def option_tables() -> str:
    """A section a command, with its options; those of ``mra`` are commands themselves."""
    return "\n\n".join(_section(name, command) for name, command in _commands(make_app()))


def _commands(app: App) -> Iterator[tuple[str, App]]:
    for verb in _VERBS:
        if verb == "mra":
            yield from ((f"mra {name}", app["mra"][name]) for name in app["mra"] if not name.startswith("-"))
        else:
            yield verb, app[verb]


def _section(name: str, command: App) -> str:
    arguments = [each for each in command.assemble_argument_collection() if each.show]
    rows = [(_names(each), f"{'Required. ' if each.required else ''}{each.parameter.help}") for each in arguments]
    return f"## cryorbit {name}\n\n{command.help}\n\n{table(['option', 'meaning'], rows)}"


def _names(argument: Argument) -> str:
    """Names of an option, short before long; of an argument that is given by its position, its name in capitals."""
    if argument.index is not None:
        return f"`{max(argument.names, key=len).strip('-').upper()}`"
    return ", ".join(f"`{each}`" for each in sorted(argument.names, key=lambda name: name.startswith("--")))
