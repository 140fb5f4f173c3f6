"""Every setting is described by a sentence that can be read alone, as ``cryorbit.settings`` and the docs show it."""

import pytest

from cryorbit.api.recipe_table import CONFIGS
from cryorbit.api.settings import settings


@pytest.mark.parametrize("verb", CONFIGS)
def test_descriptions_stand_alone(verb: str) -> None:
    table = settings(verb)
    torn = [
        (name, text)
        for name, text in table["what"].items()
        if not text or "..." in text or not text.endswith(".") or text[0].islower()
    ]
    assert torn == []
