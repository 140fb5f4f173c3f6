"""Help says everything: every option has a help text, its default, and the unit of what it measures."""

import contextlib
import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator
from importlib import import_module

import pytest
from cyclopts import Parameter

from cryorbit.cli.main import _VERBS, main

UNITS = {"diameter": " Å", "resolution": " Å", "memory": "GB", "spacing": "degrees", "b_factor": "Å²"}
"""Words in the names of options, and what the help of such an option must have."""


def options(verb: str) -> Iterator[tuple[str, str, object]]:
    """Name, help and default of every option of a verb that is one function, those that verbs share included."""
    function = getattr(import_module(f"cryorbit.cli.{verb}"), verb)
    if inspect.isfunction(function):
        yield from described(function)


def described(owner: Callable[..., object]) -> Iterator[tuple[str, str, object]]:
    """Name, help and default of what a function or a class of options takes."""
    hints = typing.get_type_hints(owner, include_extras=True)
    for name, parameter in inspect.signature(owner).parameters.items():
        kind, *notes = typing.get_args(hints[name])
        if dataclasses.is_dataclass(kind):
            yield from described(kind)
            continue
        (note,) = [each for each in notes if isinstance(each, Parameter)]
        yield name, str(note.help or ""), parameter.default


@pytest.mark.parametrize("verb", _VERBS)
def test_every_option_says_its_default(verb: str) -> None:
    silent = [name for name, text, default in options(verb) if default is None and "Default: " not in text]
    assert silent == []
    assert all(text.endswith(".") for _, text, _ in options(verb))


@pytest.mark.parametrize("verb", _VERBS)
def test_every_measure_has_its_unit(verb: str) -> None:
    without = [
        name for name, text, _ in options(verb) for word, unit in UNITS.items() if word in name and unit not in text
    ]
    assert without == []


def test_the_help_of_a_verb_is_its_whole_description(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        main(["resume", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "also within a pass over the particles" in text
