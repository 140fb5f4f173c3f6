"""Presets: what they hold, what overrides them, and what is said of a name that is none."""

from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from cryorbit.api.jobs import plan_job
from cryorbit.api.recipe_table import CONFIGS, find_config
from cryorbit.core.errors import InputError
from cryorbit.core.setting_list import list_settings
from cryorbit.core.validation import validated
from cryorbit.optim.momentum import Momentum
from cryorbit.recipes.presets import preset_names, read_preset

NAME = "cryosparc2017"
REQUIRED = {"particles": "p.star", "output": "job", "maps": ["a.mrc"], "observations": "o.npz"}


def planned(**settings: Any) -> Any:
    return plan_job("abinit", {"particles": "p.star", "output": "job", "device": "cpu", **settings}).config


def test_every_preset_fits_its_verb_and_sets_only_what_there_is() -> None:
    for verb in CONFIGS:
        config = find_config(verb)
        required = {name: value for name, value in REQUIRED.items() if name in config.model_fields}
        for name in preset_names(verb, config):
            validated(config, {**required, **read_preset(verb, config, name)})
    files = list((Path(str(resources.files("cryorbit"))) / "data" / "presets").rglob("*.toml"))
    assert {file.parent.name for file in files} <= set(CONFIGS)
    assert files


def test_the_preset_selects_the_printed_algorithm() -> None:
    search = planned(preset=NAME, classes=2).search
    assert (search.volumes, search.batch_first, search.batch_last, search.batch_last_from) == ("classes", 30, 100, 20)
    assert (search.noise_decay, search.noise_prior, search.noise_inflation_images) == (0.9999, 50, 2500)
    assert (search.noise_inflation, search.metric, search.class_mixing) == (8, "largest", 0)
    assert search.made() == Momentum(momentum=0.9, schedule="fixed", decay=0.0, rate="long-run")
    default = planned().search
    assert (default.volumes, default.noise_model, default.made().schedule) == ("one", "background", "constant")


def test_a_settings_file_overrides_the_preset_and_options_override_both(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[search]\niterations = 50\nbatch_first = 40\n")
    typed = {"preset": NAME, "search": {"batch_first": 60, "settings": {"momentum": 0.5}}}
    planned_job = plan_job("abinit", {"particles": "p.star", "output": "job", "device": "cpu", **typed}, file)
    search = planned_job.config.search
    assert (search.iterations, search.batch_first, search.batch_last) == (50, 60, 100)
    assert search.made() == Momentum(momentum=0.5, schedule="fixed", decay=0.0)


def test_a_run_takes_the_presets_of_its_stages() -> None:
    settings = {"particles": "p.star", "output": "job", "device": "cpu", "preset": NAME}
    assert plan_job("run", settings).config.abinit.search.volumes == "classes"


@pytest.mark.parametrize(
    ("verb", "name", "fix"),
    [
        ("abinit", "cryosparc", f"did you mean '{NAME}'?"),
        ("abinit", "x", f"name one of {NAME}"),
        ("reconstruct", NAME, "leave --preset out"),
    ],
)
def test_an_unknown_name_is_answered_with_what_there_is(verb: str, name: str, fix: str) -> None:
    with pytest.raises(InputError) as told:
        read_preset(verb, find_config(verb), name)
    assert told.value.problem == f"{verb} has no preset {name!r}"
    assert fix in str(told.value.fix)


def test_no_setting_is_called_preset() -> None:
    """The name is taken: it stands among the settings of a job from Python."""
    assert not [each.name for verb in CONFIGS for each in list_settings(find_config(verb)) if each.name == "preset"]
