"""The whole way in one job: what the stages hand on, what lies on top, and the verdict."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from abinit_jobs import make_set

from cryorbit.core.errors import InputError
from cryorbit.core.progress import SilentProgress, Stopped
from cryorbit.core.verdict import Level, Verdict
from cryorbit.io.cryosparc_files import write_cs
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import ClassRecord, ParticleCount
from cryorbit.io.particles import read_particles
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.star import read_star
from cryorbit.recipes.abinit import AbinitResult
from cryorbit.recipes.config import load_config
from cryorbit.recipes.map_files import ONLY_MAP
from cryorbit.recipes.pipeline import PipelineConfig, run
from cryorbit.recipes.pipeline.finished_stages import FinishedStages, RefinedClass
from cryorbit.recipes.pipeline.first_map import FIRST_MAPS
from cryorbit.recipes.pipeline.judgement import judge
from cryorbit.recipes.pipeline.outputs import write_joined
from cryorbit.recipes.pipeline.plan import class_particles, first_stage, image_folder, refine_stage
from cryorbit.recipes.pipeline.run import classes_to_refine
from cryorbit.recipes.pipeline.stage import Stage, work_on
from cryorbit.recipes.settings import Settings
from phantom_sets import sharp_phantom

ABINIT = "1_abinit"
SETTINGS = """
symmetry = "C2"
classes = 2
[abinit]
max_resolution = 18.0
[abinit.grow]
iterations = 7
[refine]
method = "em"
[refine.passes]
iterations = 3
[postprocess]
b_factor = -50.0
"""


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty images."""
    folder = tmp_path_factory.mktemp("images")
    return make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], 60, 0.5)


def write_abinit_particles(source: Path, folder: Path) -> torch.Tensor:
    """What an ab initio stage of two classes leaves of particles; their classes."""
    everything = read_particles(source)
    classes = torch.arange(len(everything)) % 3 % 2 + 1
    write_particles(folder / ABINIT / "particles.star", everything, Assignments(class_number=classes))
    return classes


def test_tables_of_settings_reach_their_stages(particles: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    given = {"particles": particles, "output": tmp_path / "job", "seed": 4, "max_resolution": 5.0}
    config = load_config(PipelineConfig, file, given)
    first = first_stage(config, config.output).config.model_dump()
    assert (first["classes"], first["seeds"], first["seed"], first["symmetry"]) == (2, 2, 4, "C2")
    assert (first["max_resolution"], first["grow"]["iterations"]) == (18.0, 7)
    write_abinit_particles(particles, config.output)
    refined = refine_stage(config, config.output, abinit_result(inverted=True), 1)
    settings = refined.config.model_dump()
    assert (settings["method"], settings["passes"]["iterations"], settings["max_resolution"]) == ("em", 3, 5.0)
    assert (settings["invert_contrast"], settings["diameter"], settings["check_start"]) == (True, 91.0, False)
    assert settings["maps"] == (config.output / ABINIT / "class_1.mrc",)
    assert settings["particles"] == refined.inputs[0] == config.output / "2_refine" / "input.star"


def test_a_refinement_that_would_not_fit_is_refused_before_ab_initio(particles: Path, tmp_path: Path) -> None:
    config = PipelineConfig(particles=particles, output=tmp_path / "job", memory=1e-4)
    job = JobFolder.create(config.output, verb="run", config=config.model_dump(mode="json"))
    with pytest.raises(InputError, match="memory"):
        run(config, job, SilentProgress())
    assert not (config.output / ABINIT).exists()


def test_moments_hand_on_their_map_and_their_particles(particles: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('start = "moments"\n[moments]\nstarts = 3\nresolution = 40.0\n')
    config = load_config(PipelineConfig, file, {"particles": particles, "output": tmp_path / "job", "seed": 4})
    first = first_stage(config, config.output)
    assert (first.verb, first.folder) == ("moments", config.output / "1_moments")
    settings = first.config.model_dump()
    assert (settings["starts"], settings["resolution"], settings["seed"], settings["compare"]) == (3, 40.0, 4, None)
    refined = refine_stage(config, config.output, abinit_result(), 1)
    assert refined.config.model_dump()["maps"] == (first.folder / "map.mrc",)
    assert refined.inputs == (first.folder / "particles.star", first.folder / "map.mrc")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"symmetry": "C2"}, "without symmetry"),
        ({"classes": 2}, "make one map"),
        ({"seeds": 3}, "number of starts"),
        ({"abinit": {"held_out": 0.25}}, "do nothing"),
    ],
)
def test_what_moments_cannot_do_is_refused_before_any_work(
    particles: Path, tmp_path: Path, setting: dict[str, Any], problem: str
) -> None:
    config = PipelineConfig(particles=particles, output=tmp_path / "job", start="moments", **setting)
    job = JobFolder.create(config.output, verb="run", config=config.model_dump(mode="json"))
    with pytest.raises(InputError, match=problem) as error:
        run(config, job, SilentProgress())
    assert error.value.fix is not None
    assert "--start abinit" in error.value.fix
    assert not (config.output / "1_moments").exists()


def test_an_unknown_key_in_a_table_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[refine.passes]\niteration = 3\n")
    with pytest.raises(InputError, match=r"refine\.passes\.iteration.*\n.*'iterations'"):
        load_config(PipelineConfig, file, {"particles": "a.star", "output": "job"})


@pytest.mark.parametrize("number", [1, 2])
def test_a_class_is_refined_on_its_own_particles(particles: Path, tmp_path: Path, number: int) -> None:
    config = PipelineConfig(particles=particles, output=tmp_path, classes=2, refine_all=True)
    classes = write_abinit_particles(particles, tmp_path)
    file = class_particles(config, tmp_path, tmp_path / "2_refine", number)
    mine = read_particles(file)
    assert len(mine) == int((classes == number).sum())
    everything = read_particles(particles)
    index = torch.nonzero(classes == number)[:, 0]
    torch.testing.assert_close(mine.images.read(torch.arange(len(mine))), everything.images.read(index))
    written = file.stat().st_mtime_ns
    assert class_particles(config, tmp_path, tmp_path / "2_refine", number).stat().st_mtime_ns == written


def test_one_class_is_refined_on_the_file_of_ab_initio(particles: Path, tmp_path: Path) -> None:
    config = PipelineConfig(particles=particles, output=tmp_path)
    assert class_particles(config, tmp_path, tmp_path / "2_refine", 1) == tmp_path / ABINIT / "particles.star"
    assert image_folder(read_particles(particles)) == particles.parent


def abinit_result(**changes: Any) -> AbinitResult:
    """What ab initio hands on, as far as it matters here."""
    usual: dict[str, Any] = {"verdict": Verdict("good", "Starts agree.", ()), "particles": ParticleCount(100, 0)}
    usual |= {"diameter_A": 91.0, "symmetry": "C1", "inverted": False, "symmetry_scores": (), "symmetry_trial": None}
    return AbinitResult(**{**usual, **changes})


@pytest.mark.parametrize(
    ("refine_all", "sizes", "expected"),
    [(False, [90, 80], ([1], [])), (True, [90, 80, 49], ([1, 2], [3])), (True, [20, 80], ([1, 2], []))],
)
def test_classes_too_small_are_left_out(
    sizes: list[int], expected: tuple[list[int], list[int]], *, refine_all: bool
) -> None:
    config = PipelineConfig(particles=Path("a"), output=Path("b"), classes=len(sizes), refine_all=refine_all)
    classes = tuple(ClassRecord(name=f"class {k}", map="", particles=size) for k, size in enumerate(sizes, start=1))
    assert classes_to_refine(config, abinit_result(classes=classes)) == expected


def as_cs_project(particles: Path, project: Path) -> Path:
    """The particles as a ``.cs`` file in ``J2`` whose image names start from the project's folder."""
    given = read_particles(particles)
    (project / "J1").mkdir(parents=True)
    (project / "J2").mkdir()
    (project / "J1" / "stack.mrcs").symlink_to(particles.with_suffix(".mrcs"))
    ctf = {
        "ctf/accel_kv": given.ctf.voltage,
        "ctf/cs_mm": given.ctf.spherical_aberration,
        "ctf/amp_contrast": given.ctf.amplitude_contrast,
        "ctf/df1_A": given.ctf.defocus_u,
        "ctf/df2_A": given.ctf.defocus_v,
        "ctf/df_angle_rad": given.ctf.defocus_angle,
    }
    types = [("uid", "<u8"), ("blob/path", "S40"), ("blob/idx", "<u4"), ("blob/shape", "<u4", (2,))]
    records = np.zeros(len(given), [*types, *((name, "<f4") for name in ("blob/psize_A", *ctf))])
    records["uid"] = 100 + np.arange(len(given))
    records["blob/path"] = b">J1/stack.mrcs"
    records["blob/idx"] = given.images.section
    records["blob/shape"] = given.box
    records["blob/psize_A"] = given.pixel_size
    for name, values in ctf.items():
        records[name] = values
    write_cs(project / "J2" / "particles.cs", records)
    return project / "J2" / "particles.cs"


def test_cs_files_stay_cs_files_and_find_their_images_from_a_far_folder(particles: Path, tmp_path: Path) -> None:
    source, job = as_cs_project(particles, tmp_path / "project"), tmp_path / "far" / "away" / "job"
    config = PipelineConfig(particles=source, output=job, classes=2)
    classes = write_abinit_particles(source, job)
    stage = refine_stage(config, job, abinit_result(), 2)
    settings = stage.config.model_dump()
    assert settings["particles"] == job / "2_refine" / "input.cs"
    of_class = read_particles(settings["particles"], settings["data_dir"])
    index = torch.nonzero(classes == 2)[:, 0]
    torch.testing.assert_close(
        of_class.images.read(torch.arange(len(of_class))), read_particles(particles).images.read(index), rtol=0, atol=0
    )


def test_particles_of_several_classes_are_joined(particles: Path, tmp_path: Path) -> None:
    source = as_cs_project(particles, tmp_path)
    everything = read_particles(source)
    folders, parts = [tmp_path / "refined_1", tmp_path / "refined_2"], [[4, 0], [1, 2, 7]]
    for folder, part in zip(folders, parts, strict=True):
        ones = torch.ones(len(part), dtype=torch.long)
        write_particles(folder / "particles.star", everything.subset(np.array(part)), Assignments(class_number=ones))
    write_joined(tmp_path / "particles.star", folders, [1, 3])
    tables = read_star(tmp_path / "particles.star")
    assert tables["particles"]["rlnClassNumber"].tolist() == [1, 1, 3, 3, 3]
    assert len(tables["optics"]) == 1
    joined = read_particles(tmp_path / "particles.star")
    rows = torch.tensor([4, 0, 1, 2, 7])
    assert torch.equal(joined.images.read(torch.arange(5)), everything.images.read(rows))
    records = np.load(tmp_path / "particles.cs")
    assert records["uid"].tolist() == [104, 100, 101, 102, 107]
    assert records["alignments3D/class"].tolist() == [0, 0, 2, 2, 2]


def refined_class(number: int, **changes: Any) -> RefinedClass:
    """A class of which nothing bad is known, but for the levels in ``changes``."""
    level, refined_level = changes.get("level", "good"), changes.get("refined", "good")
    sentence = {"good": "Half-maps agree.", "doubtful": "Views are uneven.", "bad": "Halves disagree."}[refined_level]
    refined: Any = SimpleNamespace(verdict=Verdict(refined_level, sentence, ("poses are sharp",)))
    sharpened: Any = SimpleNamespace(verdict=Verdict(level, f"Resolution 4.{number}0 Å.", ("the mask is harmless",)))
    return RefinedClass(number, f"class {number}", ONLY_MAP, Path("r"), Path("p"), refined, sharpened)


def verdict_of(first: Level, *classes: RefinedClass, left_out: tuple[int, ...] = (), start: str = "abinit") -> Verdict:
    sentences = {"good": "Starts agree.", "doubtful": "Not verified.", "bad": "Do not trust this map."}
    result = abinit_result(verdict=Verdict(first, sentences[first], ("2 of 2 starts agree",)))
    return judge(FinishedStages(FIRST_MAPS[start], Path("a"), result, list(classes), list(left_out)))


def test_the_verdict_is_the_worst_of_the_stages_and_begins_with_what_is_wrong() -> None:
    good = verdict_of("good", refined_class(1))
    assert good.level == "good"
    assert good.sentence.startswith("Resolution 4.10 Å.")
    assert "ab initio: 2 of 2 starts agree" in good.reasons
    assert "refinement: poses are sharp" in good.reasons
    from_moments = verdict_of("good", refined_class(1), start="moments")
    assert "moments: 2 of 2 starts agree" in from_moments.reasons
    assert "from moments" in from_moments.sentence
    assert "random starts" not in from_moments.sentence
    bad = verdict_of("bad", refined_class(1))
    assert (bad.level, bad.sentence) == ("bad", "Do not trust this map. Resolution 4.10 Å.")
    assert verdict_of("good", refined_class(1, level="doubtful")).level == "doubtful"
    assert verdict_of("doubtful", refined_class(1, level="bad")).level == "bad"


def test_what_refinement_doubts_is_said_before_the_resolution() -> None:
    verdict = verdict_of("good", refined_class(1, refined="bad"))
    assert (verdict.level, verdict.sentence) == ("bad", "Halves disagree. Resolution 4.10 Å.")
    assert verdict_of("bad", refined_class(1, refined="doubtful")).level == "bad"


def test_other_classes_are_among_the_reasons() -> None:
    others = (refined_class(2), refined_class(4, refined="doubtful"))
    verdict = verdict_of("good", refined_class(1), *others, left_out=(3,))
    assert "class 2: Resolution 4.20 Å." in verdict.reasons
    assert "class 4: Views are uneven. Resolution 4.40 Å." in verdict.reasons
    assert any(reason.startswith("class 3 has fewer than 50") for reason in verdict.reasons)


class Watcher(SilentProgress):
    """Notes the stages that are finished; asks to stop if told so."""

    def __init__(self, *, stop: bool = False) -> None:
        self.finished: list[str] = []
        self.stop = stop

    def stage_finished(self, folder: Path) -> None:
        """Note it."""
        self.finished.append(folder.name)

    def stop_requested(self) -> bool:
        """As told."""
        return self.stop


@dataclass(frozen=True)
class Counted:
    """How often a stage was done."""

    times: int


def counting_stage(folder: Path) -> Stage[Counted]:
    """A stage that counts how often it was done, and fails when there is a file ``bad``."""

    def run(_: Settings, job: JobFolder, __: SilentProgress) -> Counted:
        known = job.read().get("result")
        result = Counted(job.read_result(Counted).times + 1 if known else 1)
        job.write_result(result)
        if (folder.parent / "bad").exists():
            raise InputError("bad")
        return result

    return Stage("Counting", "count", folder, Settings(), run, Counted, ())


def test_a_finished_stage_is_not_done_again(tmp_path: Path) -> None:
    watcher = Watcher()
    stage = counting_stage(tmp_path / "1_count")
    assert work_on(stage, watcher) == work_on(stage, watcher) == Counted(1)
    assert watcher.finished == ["1_count", "1_count"]
    JobFolder.open(stage.folder).record(status="running")
    assert work_on(stage, watcher) == Counted(2)


def test_a_stage_is_not_begun_once_somebody_asked_to_stop(tmp_path: Path) -> None:
    stage = counting_stage(tmp_path / "1_count")
    with pytest.raises(Stopped):
        work_on(stage, Watcher(stop=True))
    assert JobFolder.open(stage.folder).read()["status"] == "created"
    work_on(stage, Watcher())
    assert work_on(stage, Watcher(stop=True)) == Counted(1)


def test_a_stage_that_failed_is_tried_again(tmp_path: Path) -> None:
    stage = counting_stage(tmp_path / "1_count")
    (tmp_path / "bad").touch()
    with pytest.raises(InputError):
        work_on(stage, Watcher())
    assert JobFolder.open(stage.folder).read()["status"] == "failed"
    (tmp_path / "bad").unlink()
    assert work_on(stage, Watcher()) == Counted(2)
