"""What the whole way leaves on top: the final maps and particles of its stages, and one verdict."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cryorbit.io.atomic import atomic_path
from cryorbit.io.cryosparc import with_fields
from cryorbit.io.cryosparc_files import read_cs, write_cs
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import ClassRecord, Result
from cryorbit.io.set_aside import REPAIRED
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.map_files import ONLY_MAP
from cryorbit.recipes.pipeline.finished_stages import FinishedStages, RefinedClass
from cryorbit.recipes.pipeline.judgement import judge


def write_outputs(job: JobFolder, stages: FinishedStages) -> Result:
    """Write the final files beside the folders of the stages; safe to repeat after a crash."""
    for each in stages.classes:
        _copy_maps(job, each)
    write_joined(job.path / "particles.star", [each.refined_in for each in stages.classes], _numbers(stages))
    for listed in ("set_aside.star", REPAIRED):
        if (stages.first_in / listed).exists():
            _copy(job, listed, stages.first_in / listed)
    result = Result(
        classes=tuple(_final_map(each, stages.first.particles.used) for each in stages.classes),
        verdict=judge(stages),
        particles=stages.first.particles,
        diameter_A=stages.first.diameter_A,
    )
    job.write_result(result)
    return result


def write_joined(target: Path, folders: Sequence[Path], numbers: Sequence[int]) -> None:
    """Write the particles of several jobs as one set (and a .cs file, where they have one), a class number each."""
    blocks = [read_star(folder / "particles.star") for folder in folders]
    tables = [block["particles"].assign(rlnClassNumber=number) for block, number in zip(blocks, numbers, strict=True)]
    write_star(target, {"optics": blocks[0]["optics"], "particles": pd.concat(tables, ignore_index=True)})
    sources = [folder / "particles.cs" for folder in folders]
    if all(source.exists() for source in sources):
        records = [_of_class(read_cs(source), number) for source, number in zip(sources, numbers, strict=True)]
        with atomic_path(target.with_suffix(".cs")) as temporary:
            write_cs(temporary, np.concatenate(records))


def _of_class(records: np.ndarray, number: int) -> np.ndarray:
    return with_fields(records, {"alignments3D/class": np.full(len(records), number - 1, np.uint32)})


def _numbers(stages: FinishedStages) -> list[int]:
    """Class numbers on top: a single map is class 1, as in every job that makes one."""
    return [each.number if each.files != ONLY_MAP else 1 for each in stages.classes]


def _copy_maps(job: JobFolder, each: RefinedClass) -> None:
    files, refined, sharpened = each.files, each.refined_in, each.sharpened_in
    sources = {
        files.map: sharpened / "postprocess_masked.mrc",
        files.mask: sharpened / "mask.mrc",
        files.half1: refined / ONLY_MAP.half1,
        files.half2: refined / ONLY_MAP.half2,
        files.views: refined / ONLY_MAP.views,
        **{f"{files.fsc}{suffix}": sharpened / f"postprocess{suffix}" for suffix in (".star", ".xml", ".csv")},
    }
    for name, source in sources.items():
        _copy(job, name, source)


def _copy(job: JobFolder, name: str, source: Path) -> None:
    with job.atomic(name) as temporary:
        shutil.copyfile(source, temporary)


def _final_map(each: RefinedClass, used: int) -> ClassRecord:
    """The map on top: particles of its refinement, as part of those that ab initio used, and sharpened resolutions."""
    (refined,) = each.refined.classes
    assert refined.particles is not None
    return ClassRecord(
        name=each.name,
        map=each.files.map,
        fsc=f"{each.files.fsc}.csv",
        particles=refined.particles,
        fraction=refined.particles / used,
        resolution_A=each.sharpened.resolution_unmasked_A,
        resolution_masked_A=each.sharpened.resolution_A,
        b_factor=each.sharpened.b_factor,
    )
