"""Every setting is described by a sentence that can be read alone, as ``cryorbit.settings`` and the docs show it."""

import pytest

from cryorbit.api.recipe_table import CONFIGS, WITHOUT_JOB
from cryorbit.api.settings import settings


@pytest.mark.parametrize("verb", CONFIGS | WITHOUT_JOB)
def test_descriptions_stand_alone(verb: str) -> None:
    table = settings(verb)
    torn = [
        (name, text)
        for name, text in table["meaning"].items()
        if not text or not text.endswith(".") or text[0].islower()
    ]
    assert torn == []


@pytest.mark.parametrize("verb", CONFIGS | WITHOUT_JOB)
def test_what_is_chosen_for_a_setting_without_a_default_is_said(verb: str) -> None:
    table = settings(verb)
    optional = table.index[[value is None for value in table["default"]]]
    # a file may be left out, and what has a range of its own says what it is without one
    silent = [name for name in optional if "Default: " not in table.loc[name, "meaning"]]
    assert silent == []
