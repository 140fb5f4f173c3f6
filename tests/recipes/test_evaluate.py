"""``cryorbit evaluate`` on a job folder made by hand, whose maps and poses are the truth seen in other frames."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cryorbit.cli.main import main
from cryorbit.core.errors import InputError
from cryorbit.evaluation.rigid_motion import move_map
from cryorbit.geometry.rotations import matrix_to_euler, random_rotations
from cryorbit.io.mrc import write_map
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.evaluate import EvaluateConfig, run
from cryorbit.simulate.phantoms import random_blob_phantom

BOX, PIXEL_SIZE, COUNT = 24, 3.0, 60
OPTICS = pd.DataFrame(
    {
        "rlnOpticsGroupName": ["one"],
        "rlnOpticsGroup": [1],
        "rlnVoltage": [300.0],
        "rlnSphericalAberration": [2.7],
        "rlnAmplitudeContrast": [0.1],
        "rlnImagePixelSize": [PIXEL_SIZE],
        "rlnImageSize": [BOX],
        "rlnImageDimensionality": [2],
    }
)


def write_particles(
    path: Path, folder: str, numbers: np.ndarray, rotations: torch.Tensor, shifts: torch.Tensor, classes: np.ndarray
) -> None:
    """A STAR file of images ``number@folder/stack.mrcs``."""
    angles = matrix_to_euler(rotations).numpy()
    table = pd.DataFrame(
        {
            "rlnImageName": [f"{number:06d}@{folder}/stack.mrcs" for number in numbers],
            "rlnOpticsGroup": 1,
            "rlnDefocusU": 15000.0,
            "rlnDefocusV": 15000.0,
            "rlnDefocusAngle": 0.0,
            "rlnAngleRot": angles[:, 0],
            "rlnAngleTilt": angles[:, 1],
            "rlnAnglePsi": angles[:, 2],
            "rlnOriginXAngst": PIXEL_SIZE * shifts[:, 0].numpy(),
            "rlnOriginYAngst": PIXEL_SIZE * shifts[:, 1].numpy(),
            "rlnClassNumber": classes,
        }
    )
    write_star(path, {"optics": OPTICS, "particles": table})


@pytest.fixture
def config(tmp_path: Path, generator: torch.Generator) -> EvaluateConfig:
    """Two classes, in the job in the other order and each turned; the last six images are junk."""
    job = tmp_path / "job"
    job.mkdir()
    turns = random_rotations(2, generator)
    truth = torch.arange(COUNT) % 2 + 1
    rotations = random_rotations(COUNT, generator)
    shifts = torch.randn(COUNT, 2, generator=generator, dtype=torch.float64)
    for number in (1, 2):
        volume = random_blob_phantom(BOX, generator)
        write_map(tmp_path / f"truth_{number}.mrc", volume, PIXEL_SIZE)
        moving = move_map(volume, turns[number - 1], torch.zeros(3))
        write_map(job / f"class_{3 - number}.mrc", moving, PIXEL_SIZE)
        write_map(job / f"class_{3 - number}_half1_unfil.mrc", moving, PIXEL_SIZE)
    found = 3 - truth
    found[0] = truth[0]
    true_class = truth.clone()
    true_class[-6:] = 0
    numbers = np.arange(1, COUNT + 1)
    write_particles(tmp_path / "truth.star", "elsewhere", numbers, rotations, shifts, true_class.numpy())
    seen = rotations @ turns[truth - 1].mT
    order = torch.randperm(COUNT, generator=generator)
    write_particles(job / "particles.star", "here", numbers[order], seen[order], shifts[order], found.numpy()[order])
    return EvaluateConfig(
        folder=job,
        truth_maps=(tmp_path / "truth_1.mrc", tmp_path / "truth_2.mrc"),
        truth_poses=tmp_path / "truth.star",
    )


def test_maps_poses_and_classes(config: EvaluateConfig) -> None:
    result = run(config)
    assert [each.number for each in result.classes] == [1, 2]
    assert [each.truth.name for each in result.classes] == ["truth_2.mrc", "truth_1.mrc"]
    assert result.matched == COUNT
    # 54 images show a map, one of them is in the wrong class
    assert result.class_accuracy == pytest.approx(53 / 54)
    for each in result.classes:
        assert each.comparison.cc > 0.999
        assert float(each.poses.angle_deg.median()) < 1e-3
        assert float(each.poses.shift_A.median()) < 1e-3
    assert sum(len(each.poses.angle_deg) for each in result.classes) == 54


def test_command(config: EvaluateConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = tmp_path / "numbers.json"
    truths = [str(path) for path in config.truth_maps]
    options = ["--truth-poses", str(config.truth_poses), "--json", str(numbers)]
    main(["evaluate", str(config.folder), "--truth-map", *truths, *options])
    shown = capsys.readouterr().out
    assert "truth_2.mrc" in shown
    assert "98.1 %" in shown
    record = json.loads(numbers.read_text())
    assert set(record) == {"classes", "matched_particles", "class_accuracy"}
    first = record["classes"][0]
    assert first["class"] == 1
    assert first["poses"]["angle_median_deg"] < 1e-3
    assert first["resolution_fsc05_A"] == pytest.approx(2 * PIXEL_SIZE, rel=0.1)


def test_poses_alone(config: EvaluateConfig) -> None:
    result = run(config.model_copy(update={"truth_maps": ()}))
    assert all(each.comparison is None for each in result.classes)
    assert result.classes[0].poses is not None


def test_without_a_truth(config: EvaluateConfig) -> None:
    with pytest.raises(InputError, match="no truth"):
        run(EvaluateConfig(folder=config.folder))


def test_without_maps(config: EvaluateConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no class_1\.mrc"):
        run(config.model_copy(update={"folder": tmp_path}))


def test_other_images(config: EvaluateConfig, tmp_path: Path) -> None:
    text = config.truth_poses.read_text().replace("stack.mrcs", "other.mrcs")
    other = tmp_path / "other.star"
    other.write_text(text)
    with pytest.raises(InputError, match="none of the images"):
        run(config.model_copy(update={"truth_poses": other}))


def test_an_image_named_twice(config: EvaluateConfig, tmp_path: Path) -> None:
    text = config.truth_poses.read_text().replace("000002@elsewhere", "000001@elsewhere")
    twice = tmp_path / "twice.star"
    twice.write_text(text)
    with pytest.raises(InputError, match="name the same image") as caught:
        run(config.model_copy(update={"truth_poses": twice}))
    assert caught.value.row == 2
