"""``cryorbit settings`` lists what ``--config`` can hold, as a table and as a file."""

import re
import tomllib

import pytest

from cryorbit.api.recipe_table import CONFIGS, find_config
from cryorbit.api.settings import settings
from cryorbit.cli.main import main
from cryorbit.core.validation import validated

INPUTS = {"particles": "p.star", "observations": "o.npz", "output": "job", "maps": ("a.mrc", "b.mrc")}


def printed(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    main(command.split())
    return capsys.readouterr().out


def test_the_table_has_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed("settings simulate", capsys)
    assert [name for name in settings("simulate").index if f"{name} " not in text] == []
    assert "[10000.0, 25000.0]" in text


@pytest.mark.parametrize("verb", CONFIGS)
def test_the_file_changes_nothing_and_holds_the_defaults(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(f"settings {verb} --toml", capsys)
    assert not any(isinstance(value, str) for value in tomllib.loads(text).values())
    config = find_config(verb)
    given = {name: value for name, value in INPUTS.items() if name in config.model_fields}
    uncommented = re.sub(r"^#(\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert uncommented != text
    assert validated(config, tomllib.loads(uncommented) | given) == validated(config, given)


def test_a_verb_without_settings_is_answered_with_those_that_have_some(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["settings", "abinnit"])
    assert "did you mean 'abinit'?" in capsys.readouterr().err
