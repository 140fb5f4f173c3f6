"""The list of what can be reproduced: what it says of the largest scale is so; mistakes on the command line."""

from pathlib import Path
from typing import Any

import pytest

from cryorbit.api.recipe_table import find_config, find_recipe
from cryorbit.cli.main import main
from cryorbit.core.validation import validated
from cryorbit.studies import REPRODUCTIONS
from cryorbit.studies.registry import Number, Reproduction
from cryorbit.studies.settings import StudySettings


def settings(name: str, scale: str) -> StudySettings:
    """Settings of a study at a scale."""
    config = validated(find_config(f"reproduce {name}"), {"output": "job", "scale": scale})
    assert isinstance(config, StudySettings)
    return config


def value_of(config: Any, setting: str) -> Any:
    for part in setting.split("."):
        config = getattr(config, part)
    return config


def test_the_list_is_aligned_and_says_what_the_largest_scale_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    main(["reproduce", "list"])
    lines = capsys.readouterr().out.splitlines()
    width = max(map(len, REPRODUCTIONS)) + 2
    assert [line[:width].strip() for line in lines[::2]] == list(REPRODUCTIONS)
    assert [line[width:] for line in lines[::2]] == [entry.title for entry in REPRODUCTIONS.values()]
    assert [line[width:] for line in lines[1::2]] == [f"--full: {entry.full}" for entry in REPRODUCTIONS.values()]
    assert all(line[:width].isspace() for line in lines[1::2])


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_what_the_list_says_of_the_largest_scale_is_so(name: str) -> None:
    config, entry = settings(name, "full"), REPRODUCTIONS[name]
    assert callable(find_recipe(f"reproduce {name}").run)
    for each in entry.numbers:
        assert value_of(config, each.setting) == each.full, each.setting
        assert (each.difference in entry.full) == (each.full != each.published), each.setting
    assert entry.full


def test_a_difference_names_both_numbers() -> None:
    entry = Reproduction(
        "Title", "m:C", (Number("a", 1500, 30_000, "images"), Number("b", 3, 3, "seeds"), Number("c", 1e-3, "two", "x"))
    )
    assert entry.full == "images: 1,500 instead of 30,000; x: 0.001 instead of two"


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_scales_grow(name: str) -> None:
    quick, medium, full = (settings(name, scale) for scale in ("quick", "medium", "full"))
    assert quick.model_dump(exclude={"scale"}) != medium.model_dump(exclude={"scale"})
    assert medium.model_dump(exclude={"scale"}) != full.model_dump(exclude={"scale"})
    for each in REPRODUCTIONS[name].numbers:
        sizes = [value_of(config, each.setting) for config in (quick, medium, full)]
        assert sizes == sorted(sizes), each.setting


def test_the_published_mini_batch_of_toader2023_is_the_part_of_the_images_that_is_said() -> None:
    from cryorbit.studies.toader2023.contenders import BATCHES

    images = settings("toader2023", "full").images  # type: ignore[attr-defined]
    assert f"so {images // BATCHES} images instead of {30_000 // BATCHES:,}" in REPRODUCTIONS["toader2023"].full


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nothing", "-o", "x"], "there is no reproduction 'nothing'"),
        (["paul2024_ch4"], "no folder"),
        (["paul2024_ch4", "-o", "x", "--full", "--medium"], "leave one out"),
        (["paul2024_ch4", "-o", "x", "--quick", "--medium"], "--quick and --medium"),
    ],
)
def test_mistakes_are_named(
    arguments: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["reproduce", *arguments])
    assert end.value.code == 2
    assert problem in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("alignment.passses = 3\n", "unknown setting 'alignment.passses'"),
        ("[cryoem]\nimages = 0\n", "the setting 'cryoem.images' is 0"),
        ('scale = "huge"\n', "the setting 'scale' is 'huge'"),
        ("scale = [1]\n", "the setting 'scale' is [1]"),
        ("alignment = 3\n", "the setting 'alignment' is 3"),
        ('device = "cpu"\n', "unknown setting 'device'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name_before_any_work(
    text: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(SystemExit) as end:
        main(["reproduce", "paul2024_ch4", "-o", str(tmp_path / "job"), "--config", str(file)])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert problem in said
    assert "fix: " in said
    assert not (tmp_path / "job").exists()


def test_a_file_wins_over_the_scale_and_the_command_line_over_both(tmp_path: Path) -> None:
    from cryorbit.recipes.config import load_config

    file = tmp_path / "settings.toml"
    file.write_text('scale = "full"\nseed = 3\n[alignment]\nseeds = 2\n')
    config = find_config("reproduce paul2024_ch4")
    of_file = load_config(config, file, {"output": Path("job"), "seed": 4})
    assert value_of(of_file, "alignment.seeds") == 2
    assert value_of(of_file, "alignment.passes") == 5000
    assert value_of(of_file, "cryoem.seeds") == 5
    assert value_of(of_file, "seed") == 4
    typed = load_config(config, file, {"output": Path("job"), "scale": "quick"})
    assert (value_of(typed, "alignment.seeds"), value_of(typed, "alignment.passes")) == (2, 1000)
    # what the record of a job holds is all there is
    again = load_config(config, file, {}, typed.model_dump(mode="json"))
    assert again == typed
