"""What was typed and cannot be read, said as every other error is: what is wrong, and how to fix it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from typing import Literal, get_args, get_origin

from cyclopts import App, CycloptsError
from cyclopts.argument import Argument
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from cryorbit.cli.foreign_options import fix_for_unknown
from cryorbit.core.errors import InputError

_KINDS = {float: "a number", int: "a whole number"}
_BOUNDS = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}
_OPTION = re.compile(r"--?[A-Za-z]")


def usage_error(error: CycloptsError, root: App) -> InputError:
    """The error in our words; an option that the verb does not have comes before one that is missing.

    Parameters
    ----------
    error
        What the parser found.
    root
        The command, with all its verbs.
    """
    chain = list(error.command_chain or ())
    verb = " ".join(chain)
    if isinstance(error, UnknownCommandError):
        return _unknown_verb(error, [f"{verb} {name}".strip() for name in _verbs(error.app if chain else root)])
    if chain and error.app is not None:
        known = {*_options(error.app), *_options(root.meta)}
        unknown = _unknown(list(error.root_input_tokens or ())[len(chain) :], known)
        if unknown:
            return _unknown_options(unknown, verb, known)
    return _as_told(error, f"cryorbit {verb}".strip())


def _as_told(error: CycloptsError, command: str) -> InputError:
    """The errors of options that there are."""
    match error:
        case MissingArgumentError(argument=Argument() as argument, keyword=str(typed)):
            return InputError(f"{typed} needs {_amount(argument)}", fix=f"add it: {_meaning(argument)}")
        case MissingArgumentError(argument=Argument() as argument):
            return InputError(
                f"`{command}` needs {_shown(argument)}", fix=f"add {_shown(argument)}: {_meaning(argument)}"
            )
        case RepeatArgumentError():
            return InputError(f"{error.token.keyword} is given twice", fix="leave one out")
        case CoercionError(argument=Argument() as argument, token=token) if token is not None:
            typed = token.keyword or _shown(argument)
            return InputError(f"{typed} is {token.value!r}", fix=f"it must be {_demand(error.target_type)}")
        case ValidationError(argument=Argument() as argument):
            typed = argument.tokens[0].keyword or _shown(argument)
            return InputError(f"{typed} is {argument.tokens[0].value}", fix=_within(error.exception_message))
        case UnusedCliTokensError():
            spare = " ".join((error.unused_tokens or [])[:3])
            return InputError(f"`{command}` does not take {spare!r}", fix="remove it, or quote names that have spaces")
        case UnknownOptionError():
            return InputError(f"unknown option {error.token.keyword or error.token.value}", fix=f"see {command} --help")
    return InputError(str(error).rstrip("."), fix=f"see {command} --help")


def _unknown_verb(error: UnknownCommandError, known: Sequence[str]) -> InputError:
    typed = " ".join([*(error.command_chain or ()), *(error.unused_tokens or ())[:1]])
    if _OPTION.match(typed):
        return InputError(f"there is no option {typed!r}", fix="write a verb first; `cryorbit --help` lists them")
    nearest = difflib.get_close_matches(typed, known, n=1)
    fix = f"did you mean {nearest[0]!r}?" if nearest else f"the verbs are {', '.join(known)}"
    return InputError(f"there is no verb {typed!r}", fix=fix)


def _verbs(app: App | None) -> list[str]:
    return [name for name in app or () if not name.startswith("-")]


def _options(app: App) -> list[str]:
    """Everything that can be typed as an option of a verb."""
    arguments = app.assemble_argument_collection()
    return ["--help", "-h", *(name for each in arguments for name in each.names if name.startswith("-"))]


def _unknown(words: Sequence[str], known: Collection[str]) -> list[str]:
    """Words that look like options and are none, in their order."""
    end = words.index("--") if "--" in words else len(words)
    typed = [word.partition("=")[0] for word in words[:end] if _OPTION.match(word)]
    return [word for word in dict.fromkeys(typed) if word not in known]


def _unknown_options(unknown: Sequence[str], verb: str, known: Collection[str]) -> InputError:
    several = len(unknown) > 1
    listed = ", ".join(unknown[:-1]) + " and " + unknown[-1] if several else unknown[0]
    fixes = dict.fromkeys(fix_for_unknown(option, verb, known) for option in unknown)
    return InputError(
        f"`cryorbit {verb}` has no option{'s' if several else ''} {listed}", fix="; ".join(fixes).replace("?;", ";")
    )


def _shown(argument: Argument) -> str:
    """An option as it is typed; an input file by its name in capitals, as in the help."""
    name = str(argument.name)
    return name.lstrip("-").upper().replace("-", "_") if argument.field_info.is_positional else name


def _meaning(argument: Argument) -> str:
    """What an option is for: its help."""
    return str(argument.parameter.help or "").partition(" Default: ")[0].rstrip(".")


def _amount(argument: Argument) -> str:
    count, _ = argument.token_count()
    return "a value" if count == 1 else f"{count} values"


def _demand(kind: object) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(str(each) for each in get_args(kind))
    return _KINDS.get(kind, "another value") if isinstance(kind, type) else "another value"


def _within(message: str) -> str:
    """The parser's words on a bound ("Must be >= 1.") as ours."""
    found = re.fullmatch(r"Must be (>=|<=|>|<) (.+?)\.?", message)
    return f"it must be {_BOUNDS[found[1]]} {found[2]}" if found else message.rstrip(".")
