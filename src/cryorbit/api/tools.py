"""Looking at particles, converting and simulating them, and a job held against the truth: what is done in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from cryorbit.api.job import Job
from cryorbit.api.jobs import settle
from cryorbit.api.particle_set import ParticleSet, read_particles
from cryorbit.api.settings import MapLike, ParticleLike, map_file, unfold
from cryorbit.core.progress import Progress, SilentProgress
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.recipes import convert as convert_recipe
from cryorbit.recipes import evaluate as evaluate_recipe
from cryorbit.recipes import flip as flip_recipe
from cryorbit.recipes import inspect as inspect_recipe
from cryorbit.recipes import resample as resample_recipe
from cryorbit.recipes import simulate as simulate_recipe
from cryorbit.recipes.config import load_config
from cryorbit.recipes.simulate import SimulateConfig, SimulateResult


@dataclass(frozen=True, slots=True, eq=False)
class InspectedParticles:
    """What `cryorbit.inspect` found in a particle set.

    Attributes
    ----------
    found
        All of it.
    """

    found: inspect_recipe.Inspection

    @property
    def fit(self) -> bool:
        """Whether a reconstruction would take the particles."""
        return self.found.fit

    @property
    def warnings(self) -> list[str]:
        """What to know, a sentence each."""
        return self.found.warnings()

    def __repr__(self) -> str:
        """The verdict and the warnings."""
        verdict = "fit" if self.fit else "not fit"
        return "\n".join([f"{len(self.found):,} particles, {verdict} for reconstruction", *self.warnings])

    def _repr_html_(self) -> str:
        """The same, defocus, and a sheet of images as they are and low-passed, for a notebook."""
        from cryorbit.api.pictures import picture
        from cryorbit.report.inspection_figures import draw_defocus, draw_sheet

        parts = ["".join(f"<p>{escape(line)}</p>" for line in repr(self).splitlines())]
        parts.append(picture(partial(draw_defocus, self.found.defocus), "defocus and astigmatism"))
        if self.found.images is not None:
            parts.append(picture(partial(draw_sheet, self.found.images), "images, and below each itself low-passed"))
        return "".join(parts)


def inspect(particles: ParticleLike, output: Path | str | None = None, **settings: Any) -> InspectedParticles:
    """Look at a particle set before anything is computed from it: files, optics, contrast, noise, diameter.

    Parameters
    ----------
    particles
        The set, or its file; of a part of a set the whole file is looked at.
    output
        Folder for ``report.html`` and ``inspection.json``, if they are wanted.
    settings
        ``sample`` (images looked at), ``pictures``, ``seed``, ``data_dir``, ``passthrough``.
    """
    from cryorbit.report.inspection_page import write_inspection

    source: dict[str, Any] = {"particles": particles}
    if isinstance(particles, ParticleSet):
        source = {"particles": particles.particles.source, "data_dir": particles.data_dir}
    inspection = inspect_recipe.run(load_config(inspect_recipe.InspectConfig, None, {**source, **settings}))
    if output is not None:
        write_inspection(Path(output), inspection)
    return InspectedParticles(inspection)


def convert(source: Path | str, target: Path | str, **settings: Any) -> convert_recipe.Conversion:
    """Convert a particle set between STAR (3.0, 3.1) and ``.cs``: ``check``, ``star_version``, ``original``, ..."""
    files = {"source": source, "target": target}
    return convert_recipe.run(load_config(convert_recipe.ConvertConfig, None, files | settings))


def resample(source: Path | str, target: Path | str, **settings: Any) -> resample_recipe.Resampling:
    """Give a map or particle images other pixels (``pixel_size``), another ``box``, or both, in a new file."""
    files = {"source": source, "target": target}
    return resample_recipe.run(load_config(resample_recipe.ResampleConfig, None, files | settings))


def flip(sources: Sequence[Path | str], output: Path | str, **settings: Any) -> tuple[Path, ...]:
    """Flip the hand of maps and of the poses that belong to them, into files of the same names in ``output``."""
    files = {"sources": tuple(sources), "output": output}
    return flip_recipe.run(load_config(flip_recipe.FlipConfig, None, files | settings))


def evaluate(
    folder: Job | Path | str,
    truth_maps: Sequence[Path | str] = (),
    truth_poses: Path | str | None = None,
    symmetry: str = "C1",
) -> pd.DataFrame:
    """A job held against the truth: agreement of maps and errors of poses, a row a class."""
    place = folder.folder if isinstance(folder, Job) else folder
    settings = {"folder": place, "truth_maps": tuple(truth_maps), "truth_poses": truth_poses, "symmetry": symmetry}
    evaluation = evaluate_recipe.run(load_config(evaluate_recipe.EvaluateConfig, None, settings))
    table = pd.json_normalize([each.as_record() for each in evaluation.classes]).set_index("class")
    return table.drop(columns=["fsc", "rotation"], errors="ignore")


def simulate_particles(
    maps: MapLike | Sequence[MapLike],
    output: Path | str,
    *,
    config: Path | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> ParticleSet:
    """Make particle images of known maps: ``count``, ``snr``, ``junk``, ``noise``, ``microscope``, ``seed``, ...

    The folder gets ``particles.star``, ``truth.star`` with the poses, and ``truth_1.mrc``, ... at the images' scale.
    """
    several = maps if isinstance(maps, Sequence) and not isinstance(maps, str) else [maps]
    files = tuple(map_file(each, Path(output), number) for number, each in enumerate(several, start=1))
    planned = plan_simulation(
        unfold({"maps": files, "output": output, **settings}), None if config is None else Path(config)
    )
    return read_particles(simulate_into(planned, progress or SilentProgress()).particles)


def plan_simulation(settings: Mapping[str, Any], file: Path | None = None) -> SimulateConfig:
    """Settings of a simulation, checked; `InputError` if they do not fit."""
    planned: SimulateConfig = settle(load_config(SimulateConfig, file, settings))
    return planned


def simulate_into(planned: SimulateConfig, progress: Progress) -> SimulateResult:
    """Make the folder of a simulation and fill it; `Stopped` leaves it without images."""
    inputs = [*planned.maps, *(file for file in (planned.ctf_from, planned.poses_from) if file)]
    settings = planned.model_dump(mode="json")
    job = JobFolder.create(planned.output, verb="simulate", config=settings, inputs=inputs)
    with running(job):
        result = simulate_recipe.run(planned, progress)
        job.record(result={"scale": result.scale})
    return result
