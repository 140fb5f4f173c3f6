"""The stages with their settings: what each takes from the job, and from the stages before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryorbit.io.image_paths import number_and_stack
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.particles_writing import Assignments, write_particles
from cryorbit.io.star import numbers
from cryorbit.recipes import abinit, moments, postprocess, refine
from cryorbit.recipes.abinit import AbinitConfig, AbinitResult
from cryorbit.recipes.dataset import read_chosen
from cryorbit.recipes.moments import MomentsConfig, MomentsResult
from cryorbit.recipes.pipeline.config import PipelineConfig
from cryorbit.recipes.pipeline.first_map import FirstResult, first_map
from cryorbit.recipes.pipeline.stage import Stage
from cryorbit.recipes.postprocess import PostprocessConfig, PostprocessResult
from cryorbit.recipes.postprocess.inputs import half_map_files
from cryorbit.recipes.refine import RefineConfig, RefineResult
from cryorbit.recipes.refine.run import require_memory
from cryorbit.recipes.settings import ParticleSettings

REFINE, POSTPROCESS = "2_refine", "3_postprocess"


def first_stage(config: PipelineConfig, folder: Path) -> Stage[FirstResult]:
    """The first map, or maps, from all particles."""
    made, inputs = first_map(config), (config.particles,)
    output = folder / made.folder
    shared = {**_shared(config), "output": output}
    if config.start == "moments":
        from_moments = MomentsConfig(**shared, **dict(config.moments))
        return Stage(made.title, made.verb, output, from_moments, moments.run, MomentsResult, inputs)
    ab_initio = AbinitConfig(**shared, classes=config.classes, seeds=config.seeds, **dict(config.abinit))
    return Stage(made.title, made.verb, output, ab_initio, abinit.run, AbinitResult, inputs)


def refine_stage(config: PipelineConfig, folder: Path, first: FirstResult, number: int) -> Stage[RefineResult]:
    """Class ``number`` refined on its own particles.

    Contrast and diameter are those that the first stage found in all particles; ``first`` is its result. What the
    images say of the start map is recorded and weighed in the verdict, but does not end the job.
    """
    output = folder / f"{REFINE}{_suffix(config, number)}"
    particles, start_map = class_particles(config, folder, output, number), _start_map(config, folder, number)
    shared = {
        **_shared(config),
        "particles": particles,
        "data_dir": _data_dir(config),
        "invert_contrast": first.inverted,
        "diameter": first.diameter_A,
        "maps": (start_map,),
        "output": output,
        "max_resolution": config.max_resolution,
        "check_start": False,
        # chosen already; columns that the first stage wrote anew would be asked again
        "subset": None,
        "limit": None,
    }
    settings = RefineConfig(**shared, **dict(config.refine))
    title, inputs = _title("Refinement", config, number), (particles, start_map)
    return Stage(title, "refine", output, settings, refine.run, RefineResult, inputs)


def require_refinable(config: PipelineConfig, folder: Path) -> None:
    """Raise ``InputError`` if the refinement would not fit into the memory: better now than after the first map."""
    maps = (_start_map(config, folder, 1),)
    settings = RefineConfig(**_shared(config), maps=maps, max_resolution=config.max_resolution)
    require_memory(settings, read_chosen(config))


def postprocess_stage(config: PipelineConfig, folder: Path, refined: Path, number: int) -> Stage[PostprocessResult]:
    """The refined map of class ``number``, from the job in ``refined``, sharpened."""
    output = folder / f"{POSTPROCESS}{_suffix(config, number)}"
    shared = {name: getattr(config, name) for name in ("symmetry", "seed", "device", "threads")}
    settings = PostprocessConfig(folder=refined, output=output, **shared, **dict(config.postprocess))
    title, inputs = _title("Post-processing", config, number), half_map_files(settings)
    return Stage(title, "postprocess", output, settings, postprocess.run, PostprocessResult, inputs)


def class_particles(config: PipelineConfig, folder: Path, output: Path, number: int) -> Path:
    """The file of the particles of a class: that of the first stage, or of several classes a part, in ``output``."""
    everything = (
        folder / first_map(config).folder / f"particles{'.cs' if config.particles.suffix == '.cs' else '.star'}"
    )
    if config.classes == 1:
        return everything
    chosen = output / f"input{everything.suffix}"
    if not chosen.exists():
        particles = read_particles(everything, _data_dir(config))
        of_class = numbers(particles.table, "rlnClassNumber", everything) == number
        write_particles(output / "input.star", particles.subset(of_class.nonzero()[0]), Assignments())
    return chosen


def image_folder(particles: Particles) -> Path | None:
    """The folder that relative image names start from; None where names are absolute."""
    name = Path(number_and_stack(str(particles.table["rlnImageName"].iloc[0]))[1])
    if name.is_absolute():
        return None
    return particles.images.files[particles.images.file_index[0]].parents[len(name.parts) - 1]


def _data_dir(config: PipelineConfig) -> Path | None:
    """Where later stages look for images: a STAR file leads to them from where it was written, a .cs file may not."""
    if config.particles.suffix != ".cs":
        return config.data_dir
    particles = read_particles(config.particles, config.data_dir, query=config.subset, ctf=config.ctf)
    return image_folder(particles) or config.data_dir


def _start_map(config: PipelineConfig, folder: Path, number: int) -> Path:
    made = first_map(config)
    return folder / made.folder / made.map_file(number)


def _shared(config: PipelineConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in ParticleSettings.model_fields}


def _suffix(config: PipelineConfig, number: int) -> str:
    return f"_class_{number}" if config.refine_all and config.classes > 1 else ""


def _title(title: str, config: PipelineConfig, number: int) -> str:
    return title if config.classes == 1 else f"{title} of class {number}"
