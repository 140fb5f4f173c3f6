"""``cryorbit classify``: particles come to the class whose map they show, and what cannot be classified is refused."""

from pathlib import Path

import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set
from refine_jobs import DIAMETER

from cryorbit.cli.main import main
from cryorbit.core.errors import InputError
from cryorbit.evaluation.classes import class_accuracy
from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import read_map, write_map
from cryorbit.io.star import read_star
from cryorbit.recipes.classify import ClassifyConfig
from cryorbit.recipes.config import load_config
from cryorbit.recipes.refine import RefineConfig
from cryorbit.recipes.refine.rivals import refuse_same
from cryorbit.recipes.refine.settling import class_changes, settled
from cryorbit.recipes.refine.state import RefineState
from phantom_sets import sharp_phantom


def column(path: Path, label: str) -> torch.Tensor:
    return torch.tensor(read_star(path)["particles"][label].tolist())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles of two maps that have most of their density in common, and start maps that are mixtures of the two."""
    folder = tmp_path_factory.mktemp("classify")
    generator = torch.Generator().manual_seed(8)
    common, first, second = (sharp_phantom(generator, count) for count in (24, 4, 4))
    make_set(folder, [common + first, common + second], 300, 0.5, fractions=(0.6, 0.4))
    truth = [read_map(folder / f"truth_{number}.mrc")[0] for number in (1, 2)]
    write_map(folder / "start_1.mrc", 0.7 * truth[0] + 0.3 * truth[1], PIXEL_SIZE)
    write_map(folder / "start_2.mrc", 0.3 * truth[0] + 0.7 * truth[1], PIXEL_SIZE)
    return folder


def classify(folder: Path, *maps: str, output: str, more: tuple[str, ...] = ()) -> Path:
    """The job folder of a classification."""
    starts = [argument for name in maps for argument in ("--map", str(folder / name))]
    settings = ("--diameter", str(DIAMETER), "--max-resolution", "16", "--device", "cpu", "--threads", "1")
    main(["classify", str(folder / "particles.star"), *starts, "-o", str(folder / output), *settings, *more])
    return folder / output


@pytest.mark.slow
def test_particles_come_to_the_class_they_show(folder: Path) -> None:
    job = classify(folder, "start_1.mrc", "start_2.mrc", output="job")
    result = JobFolder.open(job).read()["result"]
    found, truth = (column(path, "rlnClassNumber") for path in (job / "particles.star", folder / "truth.star"))
    assert class_accuracy(found, truth) == float((found == truth).double().mean()) > 0.95
    assert [each["map"] for each in result["classes"]] == ["class_1.mrc", "class_2.mrc"]
    assert [each["particles"] for each in result["classes"]] == [int((found == k).sum()) for k in (1, 2)]
    assert (job / "angdist_class_2.bild").is_file()
    passes = [line for line in JobFolder.open(job).read_metrics() if line["stage"] == "pass"]
    assert "class_changes" not in passes[0]
    assert passes[-1]["class_changes"] <= 0.01
    assert len(passes) < 10


def test_one_map_given_twice_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    volume, _ = read_map(folder / "start_1.mrc")
    write_map(folder / "scaled.mrc", 3 * volume, PIXEL_SIZE)
    (folder / "coarse.toml").write_text("check_start = false\n[poses]\nangular_spacing = 30.0\n")
    with pytest.raises(SystemExit, match="2"):
        classify(folder, "start_1.mrc", "scaled.mrc", output="same", more=("--config", str(folder / "coarse.toml")))
    said = capsys.readouterr().err
    assert "scaled.mrc: at the starting resolution this map equals" in said
    assert "abinit --classes" in said


def test_a_single_map_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        classify(folder, "start_1.mrc", output="single")
    said = capsys.readouterr().err
    assert "the setting 'maps' is" in said
    assert "must be a list of 2 or more" in said
    assert "PosixPath" not in said
    assert not (folder / "single").exists()


def test_a_tenth_of_the_density_elsewhere_makes_another_map(generator: torch.Generator) -> None:
    volume, other = sharp_phantom(generator), sharp_phantom(generator)
    refuse_same([volume, volume + 0.1 * other], [Path("a.mrc"), Path("b.mrc")])
    with pytest.raises(InputError, match=r"^c\.mrc: .* equals a\.mrc"):
        refuse_same([volume, other, 2 * volume], [Path("a.mrc"), Path("b.mrc"), Path("c.mrc")])


def estimates(*classes: int, unseen: int = 0) -> PoseEstimates:
    """Estimates of which only the classes count, the last ones of images that nothing is known of."""
    beside = {
        "rotation": (3, 3),
        "shift": (2,),
        "class_rotation": (2, 3, 3),
        "class_shift": (2, 2),
        "class_posterior": (2,),
    }
    fields = {name: torch.zeros(len(classes), *beside.get(name, ())) for name in PoseEstimates.__slots__}
    known = (torch.arange(len(classes)) < len(classes) - unseen).float()
    return PoseEstimates(**{**fields, "klass": torch.tensor(classes), "max_probability": known})


def state(before: PoseEstimates | None) -> RefineState:
    return RefineState("pass", 1, torch.zeros(2, 2, 4, 4, 4), torch.ones(2, 3), 2.0, estimates=before)


def test_passes_end_when_few_particles_change_class(tmp_path: Path) -> None:
    files = {"particles": tmp_path / "p.star", "output": tmp_path, "maps": ("a.mrc", "b.mrc")}
    config = load_config(ClassifyConfig, None, {**files, "passes": {"iterations": 9, "class_changes": 0.25}})
    before, after = estimates(0, 1, 1, 0), estimates(0, 1, 0, 0)
    # one particle went from the second class to the first; those that were not seen before are not counted
    assert class_changes(config, before, after) == {"class_changes": 0.25, "class_flow": [[2, 0], [1, 1]]}
    unseen = class_changes(config, estimates(0, 1, 0, 1, unseen=2), after)
    assert unseen == {"class_changes": 0.0, "class_flow": [[1, 0], [0, 1]]}
    assert settled(config, state(before), after, stalled=0)
    assert not settled(config, state(before), estimates(1, 1, 0, 0), stalled=9)
    assert not settled(config, state(None), after, stalled=9)


def test_a_refinement_does_not_ask_for_classes() -> None:
    config = RefineConfig(particles=Path("p.star"), output=Path("job"), maps=(Path("a.mrc"),))
    same = estimates(0, 0)
    assert class_changes(config, same, same) == {}
    assert not settled(config, state(same), same, stalled=config.passes.patience - 1)
    assert settled(config, state(same), same, stalled=config.passes.patience)


def test_settings_of_passes_keep_the_defaults_of_classification() -> None:
    files = {"particles": "p.star", "output": "job", "maps": ("a.mrc", "b.mrc")}
    config = load_config(ClassifyConfig, None, {**files, "passes": {"iterations": 5}})
    assert (config.passes.iterations, config.passes.class_changes, config.max_resolution) == (5, 0.01, 12.0)
