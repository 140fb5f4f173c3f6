"""Settings that come with the package under a name: a published algorithm as it was printed, for example.

A preset is a TOML file, ``data/presets/VERB/NAME.toml``, with the keys of a settings file of that verb. A verb with
another verb as a stage, a table of its name among the settings, has the presets of that stage, too.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from pydantic import BaseModel

from cryorbit.core.errors import InputError


def preset_names(verb: str, config: type[BaseModel]) -> list[str]:
    """Names of the presets of ``verb``, whose settings are ``config``, in order."""
    return sorted(_found(verb, config))


def read_preset(verb: str, config: type[BaseModel], name: str) -> dict[str, Any]:
    """The settings of a preset, as a settings file of ``verb`` holds them.

    Raises
    ------
    InputError
        The verb has no such preset.
    """
    found = _found(verb, config)
    if name not in found:
        raise InputError(f"{verb} has no preset {name!r}", fix=_offer(name, sorted(found)))
    return dict(found[name])


def _found(verb: str, config: type[BaseModel]) -> dict[str, Mapping[str, Any]]:
    """Presets by name: those of the stages that are groups of settings, and those of the verb itself."""
    stages = [name for name in config.model_fields if name != verb]
    of_stages = {name: {stage: settings} for stage in stages for name, settings in _of_verb(stage).items()}
    return {**of_stages, **_of_verb(verb)}


def _of_verb(verb: str) -> dict[str, Mapping[str, Any]]:
    folder = resources.files("cryorbit") / "data" / "presets" / verb
    if not folder.is_dir():
        return {}
    files = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    return {file.name.removesuffix(".toml"): tomllib.loads(file.read_text(encoding="utf-8")) for file in files}


def _offer(name: str, known: list[str]) -> str:
    if not known:
        return "leave --preset out: there are none for this verb"
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"name one of {', '.join(known)}"
