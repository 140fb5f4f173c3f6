"""A resolution that the pixels cannot hold is refused by every verb, before it begins; defaults are cut."""

from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set
from pydantic import BaseModel

from cryorbit.api.recipe_table import CONFIGS
from cryorbit.cli.main import main
from cryorbit.core.errors import InputError
from cryorbit.recipes.classify import ClassifyConfig
from cryorbit.recipes.pipeline import PipelineConfig
from cryorbit.recipes.refine import RefineConfig
from cryorbit.recipes.resolutions import NAMES, require_resolvable
from phantom_sets import sharp_phantom

USUAL: dict[str, Any] = {"particles": Path("a.star"), "output": Path("b"), "maps": (Path("1.mrc"), Path("2.mrc"))}
OTHER = {"outline_resolution", "mask_from"}
"""Settings in A that choose how a mask is made; a value that no map reaches is a way of saying never."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty particles with pixels of 5 A, their poses, and a map."""
    folder = tmp_path_factory.mktemp("pixels")
    make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], 60, 0.5)
    return folder


@pytest.mark.parametrize(
    "verb",
    [
        "abinit {f}/particles.star --max-resolution 3",
        "refine {f}/particles.star --map {f}/truth_1.mrc --max-resolution 3",
        "refine {f}/particles.star --map {f}/truth_1.mrc --initial-resolution 3",
        "classify {f}/particles.star --map {f}/truth_1.mrc {f}/map_0.mrc --max-resolution 3",
        "reconstruct {f}/truth.star --max-resolution 3",
        "run {f}/particles.star --max-resolution 3",
        "moments {f}/particles.star --resolution 3",
        "optimise {f}/particles.star --resolution 3",
        "postprocess --half1 {f}/truth_1.mrc --half2 {f}/other.mrc --config {f}/low_pass.toml",
    ],
)
def test_every_verb_refuses_a_resolution_finer_than_its_pixels(
    verb: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "low_pass.toml").write_text("low_pass = 3.0\n")
    (folder / "other.mrc").write_bytes((folder / "truth_1.mrc").read_bytes()[:-4] + b"\0\0\x80?")
    with pytest.raises(SystemExit) as end:
        main([*verb.format(f=folder).split(), "-o", str(tmp_path / "job")])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert "is 3 Å, but pixels of 5 Å show nothing finer than 10 Å" in told
    assert "give 10 Å or coarser" in told


def test_groups_of_settings_are_looked_at_too() -> None:
    config = PipelineConfig(particles=Path("a.star"), output=Path("b"), abinit={"search": {"initial_resolution": 5.0}})
    with pytest.raises(InputError, match=r"abinit\.search\.initial_resolution is 5 Å"):
        require_resolvable(config, 32, PIXEL_SIZE, Path("a.star"))
    refine = RefineConfig(**USUAL, passes={"join_resolution": 9.0})
    with pytest.raises(InputError, match=r"passes\.join_resolution is 9 Å"):
        require_resolvable(refine, 32, PIXEL_SIZE, Path("a.star"))


def test_a_resolution_coarser_than_the_box_is_refused_but_sharing_nothing_is_not() -> None:
    with pytest.raises(InputError, match="max_resolution is 400 Å, but the box is only 160 Å wide"):
        require_resolvable(RefineConfig(**USUAL, max_resolution=400.0), 32, PIXEL_SIZE, Path("a.star"))
    require_resolvable(RefineConfig(**USUAL, passes={"join_resolution": 400.0}), 32, PIXEL_SIZE, Path("a.star"))


def test_defaults_and_the_limit_itself_pass() -> None:
    # 12 A is the default of classify, and finer than pixels of 8 A hold
    require_resolvable(ClassifyConfig(**USUAL), 32, 8.0, Path("a.star"))
    require_resolvable(RefineConfig(**USUAL, max_resolution=11.0), 64, 5.5004, Path("a.star"))


def test_no_resolution_is_forgotten() -> None:
    """Every setting whose name ends in resolution, of every recipe, is one of those that are looked at."""

    def names(config: type[BaseModel]) -> set[str]:
        found: set[str] = set()
        for name, field in config.model_fields.items():
            groups = [each for each in (field.annotation, *get_args(field.annotation)) if isinstance(each, type)]
            nested = [names(each) for each in groups if issubclass(each, BaseModel)]
            found |= set().union(*nested) if nested else {name}
        return found

    known: set[str] = set()
    for place in CONFIGS.values():
        module, _, config = place.partition(":")
        known |= names(getattr(import_module(module), config))
    assert {name for name in known if name.endswith("resolution")} <= NAMES | OTHER
