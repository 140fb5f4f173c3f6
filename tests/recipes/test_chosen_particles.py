"""Parts of a particle set that settings choose, and that every recipe works on."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cryorbit.core.errors import InputError
from cryorbit.io.particles import read_particles
from cryorbit.recipes.config import load_config
from cryorbit.recipes.dataset import read_chosen, read_dataset
from cryorbit.recipes.pipeline import PipelineConfig
from cryorbit.recipes.pipeline.plan import first_stage, refine_stage
from cryorbit.recipes.resample import ResampleConfig
from cryorbit.recipes.resample import run as resample
from cryorbit.recipes.settings import ParticleSettings
from small_sets import blob_images, write_star_set

COUNT = 120


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chosen")
    return write_star_set(folder, blob_images(COUNT, np.random.default_rng(3)))


def settings(star: Path, **changes: Any) -> ParticleSettings:
    return ParticleSettings(particles=star, output=star.parent / "job", **changes)


def test_a_query_and_a_limit_choose_one_after_the_other(star: Path) -> None:
    query = "rlnDefocusU < 10800"
    assert list(read_chosen(settings(star, subset=query)).rows) == list(range(1, 81))
    drawn = read_chosen(settings(star, subset=query, limit=60)).rows
    assert len(drawn) == 60
    assert drawn.max() <= 80
    assert list(drawn) == list(read_chosen(settings(star, subset=query, limit=60)).rows)
    assert list(drawn) != list(read_chosen(settings(star, subset=query, limit=60, seed=1)).rows)
    assert len(read_chosen(settings(star, limit=999))) == COUNT


GROUPS = ("krios 1 300.000000 2.700000 0.100000 2.000000 16 2", "talos 2 200.000000 2.000000 0.070000 2.000000 16 2")


@pytest.fixture
def two_kinds(star: Path) -> Iterator[Path]:
    """The set with an optics group of larger pixels, whose images were multiplied with their CTF."""
    text = star.read_text()
    changed = text.replace(
        "_rlnImageDimensionality #8\n", "_rlnImageDimensionality #8\n_rlnCtfDataAreCtfPremultiplied #9\n"
    )
    changed = changed.replace(GROUPS[0], f"{GROUPS[0]} 0").replace(
        GROUPS[1], f"{GROUPS[1]} 1".replace("2.000000 16", "2.5 16")
    )
    file = star.with_name("two_kinds.star")
    file.write_text(changed)
    yield file
    file.unlink()


def test_what_is_not_chosen_may_be_of_another_kind(two_kinds: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)pixel size is 2 .* 2\.5 .*--subset 'rlnOpticsGroup == 1'"):
        read_chosen(settings(two_kinds, premultiplied=True))
    for group, size, multiplied in ((1, 2.0, False), (2, 2.5, True)):
        chosen = read_chosen(settings(two_kinds, subset=f"rlnOpticsGroup == {group}"))
        assert (chosen.pixel_size, chosen.premultiplied, len(chosen)) == (size, multiplied, 60)
        assert list(chosen.rows) == list(range(60 * group - 59, 60 * group + 1))


def test_the_user_decides_where_the_table_says_both(two_kinds: Path) -> None:
    two_kinds.write_text(two_kinds.read_text().replace("2.5 16", "2.0 16"))
    with pytest.raises(InputError, match=r"--subset 'rlnCtfDataAreCtfPremultiplied == 1'"):
        read_chosen(settings(two_kinds))
    assert len(read_chosen(settings(two_kinds, subset="rlnCtfDataAreCtfPremultiplied == 1"))) == 60
    for multiplied in (True, False):
        assert read_chosen(settings(two_kinds, premultiplied=multiplied)).premultiplied == multiplied


def test_parts_are_brought_to_one_pixel_size(two_kinds: Path, tmp_path: Path) -> None:
    for group in (1, 2):
        target = tmp_path / f"{group}.star"
        resample(ResampleConfig(source=two_kinds, target=target, pixel_size=4.0, subset=f"rlnOpticsGroup == {group}"))
        read = read_particles(target)
        assert (read.pixel_size, len(read)) == (4.0, 60)


def test_what_was_left_out_is_not_set_aside(star: Path) -> None:
    dataset = read_dataset(settings(star, subset="rlnOpticsGroup == 2", diameter=20.0))
    assert len(dataset.everything) == len(dataset.particles) == 60
    assert len(dataset.report.set_aside) == 0


def test_too_few_are_refused(star: Path) -> None:
    with pytest.raises(InputError, match="only 20 usable particles"):
        read_dataset(settings(star, limit=20))


def test_later_stages_take_what_was_chosen(star: Path, tmp_path: Path) -> None:
    config = PipelineConfig(particles=star, output=tmp_path, subset="rlnClassNumber == 2", limit=70)
    first = first_stage(config, tmp_path).config
    second = refine_stage(config, tmp_path, SimpleNamespace(inverted=False, diameter_A=20.0), 1).config
    assert (first.subset, first.limit) == ("rlnClassNumber == 2", 70)
    assert (second.subset, second.limit) == (None, None)


def test_memory_is_given_with_its_unit(star: Path, tmp_path: Path) -> None:
    dataset = {"particles": star, "output": tmp_path, "memory": "512MB"}
    assert load_config(ParticleSettings, None, dataset).memory == 0.5
    file = tmp_path / "settings.toml"
    file.write_text('memory = "2 GiB"\n')
    assert load_config(ParticleSettings, file, {**dataset, "memory": None}).memory == 2.0
    file.write_text("memory = 0\n")
    with pytest.raises(InputError, match=r"(?s)settings\.toml: 0 of memory is not enough.*8GB"):
        load_config(ParticleSettings, file, {**dataset, "memory": None})
