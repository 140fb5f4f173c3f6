"""What a notebook does: particles in, jobs run, maps compared; the same jobs as those of the command line."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

import cryorbit as co
from cryorbit.api.jobs import plan_job
from cryorbit.api.settings import unfold
from cryorbit.core.progress import SilentProgress
from cryorbit.recipes.abinit.config import SearchSettings
from phantom_sets import sharp_phantom

PIXEL_SIZE = 5.0
COUNT = 90
SHORTEST: dict[str, Any] = {
    "search": {"iterations": 3, "batch_first": 20, "batch_last": 30, "angular_spacing": 30.0},
    "grow.iterations": 2,
    "grow.cells": 2,
    "max_resolution": 20.0,
    "diameter": 100.0,
}
ONE_PASS: dict[str, Any] = {"passes.iterations": 1, "poses": {"cells": 4, "angular_spacing": 30.0}, "diameter": 100.0}


class StopAtOnce(SilentProgress):
    """Asks to stop after the first step."""

    def stop_requested(self) -> bool:
        """Always."""
        return True


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> co.ParticleSet:
    """Images of one map, which is in ``truth_1.mrc`` beside them."""
    truth = co.Volume(sharp_phantom(torch.Generator().manual_seed(3)), PIXEL_SIZE)
    folder = tmp_path_factory.mktemp("simulated")
    return co.simulate_particles(truth, folder, count=COUNT, snr=0.5, **{"microscope.particles_per_micrograph": 15})


@pytest.fixture(scope="module")
def first(particles: co.ParticleSet, tmp_path_factory: pytest.TempPathFactory) -> co.Job:
    """An ab initio job on a part of the particles."""
    folder = tmp_path_factory.mktemp("abinit") / "job"
    return co.abinit(particles[: COUNT - 10], folder, progress=SilentProgress(), **SHORTEST)


@pytest.fixture(scope="module")
def refined(particles: co.ParticleSet, tmp_path_factory: pytest.TempPathFactory) -> co.Job:
    """A refinement of the true map, given as a map in memory."""
    truth = co.read_map(particles.particles.source.with_name("truth_1.mrc"))
    folder = tmp_path_factory.mktemp("refine") / "job"
    return co.refine(particles, truth, folder, progress=SilentProgress(), **ONE_PASS)


def test_a_part_of_the_particles_is_what_the_job_works_on(first: co.Job) -> None:
    assert first.status == "finished"
    assert len(first.particles) == COUNT - 10
    assert first.record["config"]["particles"] == str(first.folder / "input.star")
    assert first.record["inputs"][0]["path"] == str(first.folder / "input.star")
    assert first.particles.poses is not None


def test_settings_reach_the_recipe_nested_and_dotted(first: co.Job) -> None:
    config = first.record["config"]
    assert config["search"]["iterations"] == 3
    assert config["grow"]["iterations"] == 2
    assert config["grow"]["cells"] == 2
    assert config["seeds"] == 1


def test_a_finished_job_has_maps_curves_a_verdict_and_a_page(first: co.Job) -> None:
    assert len(first.maps) == 1
    assert first.map.box == 32
    assert first.map.pixel_size == pytest.approx(PIXEL_SIZE)
    assert torch.equal(first.map.values, co.read_map(first.folder / "class_1.mrc").values)
    assert first.fsc.curves == ["unmasked", "corrected", "masked", "randomised"]
    assert first.fsc.resolution() == pytest.approx(first.result["classes"][0]["resolution_A"], rel=1e-4)
    assert first.verdict is not None
    assert first.verdict.sentence == first.result["verdict"]["sentence"]
    assert first.report.is_file()
    assert co.open_job(str(first.folder)) == first


def test_a_job_shows_itself(first: co.Job) -> None:
    assert repr(first) == f"Job(abinit, finished, {first.folder})"
    page = first._repr_html_()
    assert first.verdict is not None
    assert first.verdict.sentence.split(":")[0] in page
    assert "data:image/png;base64," in page
    assert str(first.verdict).splitlines()[0] == first.verdict.sentence


@pytest.mark.slow
def test_a_map_in_memory_can_be_refined(refined: co.Job, particles: co.ParticleSet) -> None:
    truth = particles.particles.source.with_name("truth_1.mrc")
    assert refined.record["config"]["maps"] == [str(refined.folder / "start_1.mrc")]
    assert refined.record["config"]["particles"] == str(particles.particles.source)
    found = co.compare(refined, truth)
    assert found.correlation > 0.8
    assert found.hand_flipped is False
    assert found.angle_deg < 5
    assert f"{found.correlation:.3f}" in repr(found)
    assert "data:image/png" in found._repr_html_()


@pytest.mark.slow
def test_half_maps_are_sharpened_beside_the_job(refined: co.Job) -> None:
    sharp = co.postprocess(refined, progress=SilentProgress())
    assert sharp.folder == refined.folder / "postprocess"
    assert sharp.map.box == refined.map.box
    halves = [refined.folder / f"map_half{half}_unfil.mrc" for half in (1, 2)]
    assert co.fsc(*halves).resolution() == pytest.approx(refined.fsc.resolution(curve="unmasked"), rel=1e-5)


@pytest.mark.slow
def test_a_stopped_job_goes_on(particles: co.ParticleSet, tmp_path: Path, first: co.Job) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(co.Stopped, match=r"cryorbit\.resume"):
        co.abinit(particles[: COUNT - 10], tmp_path / "job", progress=StopAtOnce(), **SHORTEST)
    stopped = co.open_job(tmp_path / "job")
    assert stopped.status == "stopped"
    assert stopped.maps == ()
    with pytest.raises(co.InputError, match="no map"):
        _ = stopped.map
    with pytest.raises(co.InputError, match=r"(?s)keeps its own 'seed'.*data_dir, device, threads, memory"):
        co.resume(stopped, seed=7)
    done = co.resume(stopped)
    assert signal.getsignal(signal.SIGINT) is handler
    assert torch.equal(done.map.values, first.map.values)


def test_wrong_names_are_told_before_anything_is_made(particles: co.ParticleSet, tmp_path: Path) -> None:
    with pytest.raises(co.InputError, match=r"(?s)'serch'.*did you mean 'search'"):
        co.abinit(particles, tmp_path / "job", serch={"iterations": 3})
    with pytest.raises(co.InputError, match=r"(?s)'search.iteration'.*did you mean 'iterations'"):
        co.abinit(particles, tmp_path / "job", **{"search.iteration": 3})
    with pytest.raises(co.InputError, match="as a group and"):
        co.abinit(particles, tmp_path / "job", **{"search": 5, "search.iterations": 3})
    with pytest.raises(co.InputError, match="must be at most 20"):
        co.abinit(particles, tmp_path / "job", classes=99)
    assert not (tmp_path / "job").exists()


def test_settings_are_overlaid_within_groups(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("classes = 2\n[search]\niterations = 5\nnoise_inflation = 3.5\n")
    given = {"particles": "p.star", "output": "job", "search": SearchSettings(iterations=7), "grow.cells": 8}
    config = plan_job("abinit", unfold(given), file).config
    assert (config.classes, config.search.iterations, config.search.noise_inflation) == (2, 7, 3.5)
    assert config.grow.cells == 8
    assert config.particles == Path.cwd() / "p.star"
    with pytest.raises(co.InputError, match="as a group and"):
        unfold({"search.iterations": 3, "search": {"momentum": 0.5}})


def test_another_method_does_not_take_over_settings_of_the_first() -> None:
    given = {"particles": "p.star", "output": "job", "preset": "cryosparc2017", "search": {"method": "sag"}}
    assert not plan_job("abinit", given).config.search.settings
    same = plan_job("abinit", given | {"search": {"method": "momentum"}}).config.search
    assert same.settings["momentum"] == 0.9


def test_a_used_folder_is_left_alone(particles: co.ParticleSet, first: co.Job) -> None:
    before = {file: file.stat().st_mtime_ns for file in first.folder.iterdir()}
    for given in (particles, particles[:70]):
        with pytest.raises(co.InputError, match="already holds a job"):
            co.abinit(given, first.folder)
    with pytest.raises(co.InputError, match="already holds a job"):
        co.refine(particles, first.map, first.folder)
    assert {file: file.stat().st_mtime_ns for file in first.folder.iterdir()} == before


def test_the_settings_of_a_verb_are_listed() -> None:
    table = co.settings("abinit")
    assert table.loc["search.iterations", "default"] == 60
    assert table.loc["particles", "default"] == "required"
    assert "degrees" in table.loc["search.angular_spacing", "meaning"]
    assert "kV" in co.settings("simulate").loc["microscope.voltage", "meaning"]
    with pytest.raises(co.InputError):
        co.settings("abinito")


@pytest.mark.slow
def test_particles_are_inspected_and_a_job_is_held_against_the_truth(
    particles: co.ParticleSet, refined: co.Job, tmp_path: Path
) -> None:
    look = co.inspect(particles, tmp_path / "look", pictures=3)
    assert look.fit
    assert repr(look).startswith(f"{COUNT} particles, fit")
    assert json.loads((tmp_path / "look" / "inspection.json").read_text())
    assert look._repr_html_().count("data:image/png") == 2
    source = particles.particles.source
    table = co.evaluate(refined, [source.with_name("truth_1.mrc")], source.with_name("truth.star"))
    assert table.loc[1, "cc"] > 0.8
    assert table.loc[1, "poses.particles"] == COUNT
    found = co.convert(source, tmp_path / "copy.star", check=True)
    assert found.faithful
