"""The whole way killed without warning in every stage: resumed, it ends with the bytes of the undisturbed job."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from abinit_jobs import SHORTEST, make_set
from test_abinit_resume import (
    DIE,
    DIE_BEFORE_CHECKPOINT,
    DIE_WITHIN_CHECKPOINT,
    as_toml,
    cryorbit,
    without_seconds,
)

from cryorbit.io.job_folder import JobFolder
from cryorbit.io.star import read_star
from phantom_sets import sharp_phantom

pytestmark = pytest.mark.slow

STAGES = ("1_abinit", "2_refine_class_1", "3_postprocess_class_1", "2_refine_class_2", "3_postprocess_class_2")
SETTINGS = {
    "classes": 2,
    "refine_all": "true",
    "seeds": 2,
    "abinit": SHORTEST,
    "refine": {"passes": {"iterations": 2}, "poses": {"angular_spacing": 30.0, "cells": 2, "check_images": 10}},
}
DIE_WITHIN = (
    DIE
    + """
from importlib import import_module
module = import_module("cryorbit.recipes.{0}.{1}")
module.{2}  # what is not there cannot die
module.{2} = die
"""
)
NO_REPORT = """
from cryorbit.report import page
page.write_report = lambda folder: None
"""
DIE_BEFORE_A_STAGE = DIE_WITHIN.format("pipeline", "run", "refine_stage")


def nested_toml(settings: dict[str, Any], prefix: str = "") -> str:
    """The settings with tables in tables."""
    plain = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    groups = {key: value for key, value in settings.items() if isinstance(value, dict)}
    parts = [as_toml(plain)]
    parts += [f"[{prefix}{key}]\n{nested_toml(value, f'{prefix}{key}.')}" for key, value in groups.items()]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of two classes, and settings that go through everything in little time."""
    folder = tmp_path_factory.mktemp("pipeline")
    generator = torch.Generator().manual_seed(3)
    make_set(folder, [sharp_phantom(generator), sharp_phantom(generator)], 160, 0.5)
    (folder / "settings.toml").write_text(nested_toml(SETTINGS))
    return folder


def start_arguments(folder: Path, name: str) -> tuple[str | Path, ...]:
    settings = ("--config", folder / "settings.toml", "--device", "cpu", "--threads", "1")
    return ("run", folder / "particles.star", "-o", folder / name, *settings)


@pytest.fixture(scope="module")
def straight(folder: Path) -> Path:
    """A job nobody disturbed."""
    assert cryorbit(*start_arguments(folder, "straight")) == 0
    return folder / "straight"


def test_every_stage_is_a_job_of_its_own_and_the_results_lie_on_top(straight: Path) -> None:
    result = JobFolder.open(straight).read()["result"]
    assert [stage["folder"] for stage in result["stages"]] == list(STAGES)
    for stage in result["stages"]:
        record = JobFolder.open(straight / stage["folder"]).read()
        assert (record["verb"], record["status"]) == (stage["verb"], "finished")
        assert f'<a href="{stage["folder"]}/report.html">' in (straight / "report.html").read_text()
        assert (straight / stage["folder"] / "report.html").is_file()
    for k in (1, 2):
        pairs = {
            f"class_{k}.mrc": f"3_postprocess_class_{k}/postprocess_masked.mrc",
            f"mask_{k}.mrc": f"3_postprocess_class_{k}/mask.mrc",
            f"class_{k}_half1_unfil.mrc": f"2_refine_class_{k}/map_half1_unfil.mrc",
            f"fsc_class_{k}.xml": f"3_postprocess_class_{k}/postprocess.xml",
        }
        for ours, theirs in pairs.items():
            assert (straight / ours).read_bytes() == (straight / theirs).read_bytes()
    classes = read_star(straight / "particles.star")["particles"]["rlnClassNumber"]
    first = read_star(straight / "1_abinit" / "particles.star")["particles"]["rlnClassNumber"]
    assert classes.value_counts().to_dict() == first.value_counts().to_dict()
    assert [each["particles"] for each in result["classes"]] == [int((first == k).sum()) for k in (1, 2)]


def test_killed_in_every_stage(folder: Path, straight: Path) -> None:
    killed = folder / "killed"
    assert (
        cryorbit(*start_arguments(folder, "killed"), before=NO_REPORT + DIE_WITHIN_CHECKPOINT.format(5))
        == -signal.SIGKILL
    )
    for before in (
        DIE_WITHIN.format("abinit", "outputs", "write_particle_files"),
        DIE_BEFORE_A_STAGE,
        DIE_BEFORE_CHECKPOINT.format(1),
        DIE_WITHIN_CHECKPOINT.format(2),
        DIE_WITHIN.format("refine", "outputs", "write_particle_files"),
        DIE_WITHIN.format("postprocess", "outputs", "write_fsc"),
        DIE_WITHIN.format("pipeline", "outputs", "write_joined"),
    ):
        assert cryorbit("resume", killed, "--threads", "1", before=NO_REPORT + before) == -signal.SIGKILL
        assert JobFolder.open(killed).read()["status"] == "running"
    assert cryorbit("resume", killed, "--threads", "1", before=NO_REPORT) == 0
    assert_same_results(killed, straight)


def assert_same_results(job: Path, straight: Path) -> None:
    names = [file.relative_to(straight) for file in straight.rglob("*") if file.suffix in {".mrc", ".star", ".csv"}]
    assert len(names) > 50
    for name in names:
        ours, theirs = ((folder / name).read_bytes() for folder in (job, straight))
        assert ours == theirs.replace(str(straight).encode(), str(job).encode()), name
    for stage in (".", *STAGES):
        ours, theirs = (JobFolder.open(folder / stage) for folder in (job, straight))
        assert ours.read()["result"] == theirs.read()["result"], stage
        assert ours.read()["status"] == "finished"
        assert [without_seconds(line) for line in ours.read_metrics()] == [
            without_seconds(line) for line in theirs.read_metrics()
        ], stage
