"""Optimisations killed without warning: resumed, they end with the bytes of the undisturbed job."""

import signal
from pathlib import Path

import pytest
import torch
from abinit_jobs import make_set
from test_abinit_resume import DIE, DIE_BEFORE_CHECKPOINT, DIE_WITHIN_CHECKPOINT, as_toml, cryorbit

from cryorbit.io.job_folder import JobFolder
from phantom_sets import sharp_phantom

pytestmark = pytest.mark.slow

DIE_WITHIN_OUTPUTS = (
    DIE
    + """
from cryorbit.recipes.optimise import outputs
outputs.write_course = die
"""
)
SETTINGS = {"diameter": 100.0, "resolution": 60.0, "epochs": 2.0, "points": 2, "held_out": 20}


def test_killed_at_every_bad_moment(tmp_path: Path) -> None:
    """Before the first checkpoint, within the second, between metrics and checkpoint of the third, in the outputs."""
    particles = make_set(tmp_path, [sharp_phantom(torch.Generator().manual_seed(3))], 120, 0.5, shift_sigma=0.0)
    settings = tmp_path / "settings.toml"
    settings.write_text(as_toml({**SETTINGS, "quadrature": {"undersampling": 1.5, "shift_sigma": 0.0}}))
    options = ("--method", "momentum", "--setting", "batch_size=25", "--config", settings, "--threads", "1")
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert cryorbit("optimise", particles, "-o", straight, *options) == 0
    dies = cryorbit("optimise", particles, "-o", killed, *options, before=DIE_BEFORE_CHECKPOINT.format(1))
    assert dies == -signal.SIGKILL
    for before in (DIE_WITHIN_CHECKPOINT.format(2), DIE_BEFORE_CHECKPOINT.format(2), DIE_WITHIN_OUTPUTS):
        assert cryorbit("resume", killed, "--threads", "1", before=before) == -signal.SIGKILL
        assert JobFolder.open(killed).read()["status"] == "running"
    assert cryorbit("resume", killed, "--threads", "1") == 0
    for name in ("map.mrc", "course.csv"):
        assert (killed / name).read_bytes() == (straight / name).read_bytes(), name
    ours, theirs = (JobFolder.open(path).read() for path in (killed, straight))
    assert ours["status"] == "finished"
    assert ours["result"] == theirs["result"]
