"""The whole way: a first map, refinement and post-processing, each a job of its own within the folder."""

from __future__ import annotations

from cryorbit.core.progress import Progress
from cryorbit.io.checks import FEWEST
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Kind, Result, StageRecord
from cryorbit.recipes.map_files import ONLY_MAP, class_files
from cryorbit.recipes.pipeline.config import PipelineConfig
from cryorbit.recipes.pipeline.finished_stages import FinishedStages, RefinedClass
from cryorbit.recipes.pipeline.first_map import FirstResult, first_map, require_feasible
from cryorbit.recipes.pipeline.outputs import write_outputs
from cryorbit.recipes.pipeline.plan import first_stage, postprocess_stage, refine_stage, require_refinable
from cryorbit.recipes.pipeline.stage import Stage, work_on


def run(config: PipelineConfig, job: JobFolder, progress: Progress) -> Result:
    """Go the whole way; stages that are finished are not done again, one that was interrupted goes on.

    A bad verdict on the first maps does not end the job: it is told at once, and first in the final verdict.

    Raises
    ------
    InputError
        The particles cannot be used, the first map cannot be made in the way that was chosen, or a stage would not fit
        into the memory.
    Stopped
        The job was asked to stop; what is done is kept.
    """
    stages: list[StageRecord] = []

    def work(stage: Stage[Kind]) -> Kind:
        stages.append(stage.record)
        job.write_result(Result(stages=tuple(stages)))
        return work_on(stage, progress, job)

    require_feasible(config)
    require_refinable(config, job.path)
    beginning = first_stage(config, job.path)
    first = work(beginning)
    progress.note(first.verdict.sentence)
    # a symmetry that the images refused is not imposed further on
    config = config.model_copy(update={"symmetry": first.symmetry})
    chosen, left_out = classes_to_refine(config, first)
    classes = []
    for number in chosen:
        refining = refine_stage(config, job.path, first, number)
        refined = work(refining)
        sharpening = postprocess_stage(config, job.path, refining.folder, number)
        sharpened = work(sharpening)
        single = config.classes == 1 or not config.refine_all
        files, name = (ONLY_MAP, "map") if single else (class_files(number), f"class {number}")
        classes.append(RefinedClass(number, name, files, refining.folder, sharpening.folder, refined, sharpened))
    return write_outputs(job, FinishedStages(first_map(config), beginning.folder, first, classes, left_out))


def classes_to_refine(config: PipelineConfig, first: FirstResult) -> tuple[list[int], list[int]]:
    """Numbers of the classes that are refined, and of those that are too small for it.

    Ab initio puts the class that explains most first; it is refined in any case.
    """
    if not config.refine_all:
        return [1], []
    small = [k for k, each in enumerate(first.classes, start=1) if (each.particles or 0) < FEWEST and k > 1]
    return [k for k in range(1, config.classes + 1) if k not in small], small
