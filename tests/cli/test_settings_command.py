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


def test_a_study_lists_the_settings_of_a_scale(capsys: pytest.CaptureFixture[str]) -> None:
    values = {}
    for scale in ("quick", "medium", "full"):
        text = re.sub(
            r"^#(\w+ = )", r"\1", printed(f"settings reproduce paul2024_ch4 --toml --{scale}", capsys), flags=re.M
        )
        listed = tomllib.loads(text)
        config = find_config("reproduce paul2024_ch4")
        assert validated(config, {**listed, "output": "job"}) == validated(config, {"scale": scale, "output": "job"})
        values[scale] = listed["scale"], listed["alignment"]["seeds"], listed["cryoem"]["passes"]
    assert values == {"quick": ("quick", 3, 300), "medium": ("medium", 10, 2000), "full": ("full", 10, 2000)}
    assert "5000.0" in printed("settings reproduce paul2024_ch4 --full", capsys)


def test_a_verb_that_is_no_study_has_no_scale(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["settings", "refine", "--full"])
    said = capsys.readouterr().err
    assert "the settings of `cryorbit refine` have no scale" in said
    assert "fix: leave --full out" in said
