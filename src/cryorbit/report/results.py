"""What a job folder holds, read for the report; what is not there is None or empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import ClassRecord, Result, TruthRecord, read_result
from cryorbit.io.mrc import read_map
from cryorbit.io.star import read_star
from cryorbit.report.postprocess_results import PostprocessResults, read_postprocess
from cryorbit.report.reproduction import ReportedStudy, read_study
from cryorbit.report.stage_results import StageResult, read_stages


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One class of a job.

    Attributes
    ----------
    number
        From 1.
    entry
        What ``job.json`` says of it.
    volume
        The map.
    pixel_size
        A.
    fsc
        Table whose first column is the spatial frequency in 1/A and whose other columns are curves.
    """

    number: int
    entry: ClassRecord
    volume: Float[np.ndarray, "z y x"] | None
    pixel_size: float | None
    fsc: pd.DataFrame | None


@dataclass(frozen=True, slots=True)
class TruthResult:
    """The map of a demonstration beside the map its images were made from.

    Attributes
    ----------
    entry
        What ``job.json`` says of the comparison.
    superposed, truth
        The first class superposed on the truth, and the truth.
    """

    entry: TruthRecord
    superposed: Float[np.ndarray, "z y x"]
    truth: Float[np.ndarray, "z y x"]


@dataclass(frozen=True, slots=True)
class JobResults:
    """All that the report tells about a job.

    Attributes
    ----------
    path
        The job folder.
    record, result
        Content of ``job.json``, and the result in it.
    metrics
        Table of ``metrics.jsonl``, a row an iteration.
    classes
        The classes, in order.
    particles, set_aside
        Tables of the particles used and of those that were not.
    truth
        The comparison with the truth, if the job made one.
    postprocess
        Curves and maps of post-processing, if the job is one.
    stages
        Jobs within the job, in order.
    study
        Parts, tables and figures of a reproduction, if the job is one.
    """

    path: Path
    record: Mapping[str, Any]
    result: Result
    metrics: pd.DataFrame
    classes: Sequence[ClassResult]
    particles: pd.DataFrame | None
    set_aside: pd.DataFrame | None
    truth: TruthResult | None
    postprocess: PostprocessResults | None
    stages: Sequence[StageResult]
    study: ReportedStudy | None


def read_results(path: Path) -> JobResults:
    """Read a job folder; ``InputError`` if it holds no job."""
    job = JobFolder.open(path)
    record = job.read()
    if record["status"] == "reporting":
        # what is being written is the report of a finished job
        record["status"] = "finished"
    result = read_result(record, Result)
    return JobResults(
        path=job.path,
        record=record,
        result=result,
        metrics=pd.DataFrame(job.read_metrics()),
        classes=[_read_class(job.path, number, entry) for number, entry in enumerate(result.classes, start=1)],
        particles=_read_table(job.path / "particles.star"),
        set_aside=_read_table(job.path / "set_aside.star"),
        truth=_read_truth(job.path, result.truth),
        postprocess=read_postprocess(job) if record["verb"] == "postprocess" else None,
        stages=read_stages(job.path, result.stages),
        study=read_study(job),
    )


def working_folder(path: Path) -> Path:
    """The folder of the part of a job that is at work, if it is a job of its own within; else that of the job."""
    stages = JobFolder.open(path).read_result(Result).stages
    last = path / stages[-1].folder if stages else path
    begun = (last / "job.json").exists()
    return last if begun and JobFolder.open(last).read()["status"] == "running" else path


def _read_class(folder: Path, number: int, entry: ClassRecord) -> ClassResult:
    """Read the map and the curves of one class."""
    map_file, fsc_file = folder / entry.map, folder / (entry.fsc or "")
    volume, pixel_size = None, None
    if map_file.is_file():
        tensor, pixel_size = read_map(map_file)
        volume = tensor.numpy()
    fsc = pd.read_csv(fsc_file) if fsc_file.is_file() else None
    return ClassResult(number, entry, volume, pixel_size, fsc)


def _read_truth(folder: Path, entry: TruthRecord | None) -> TruthResult | None:
    """Read the superposed map and the truth, or None if the job has not both."""
    if entry is None:
        return None
    superposed, truth = folder / entry.superposed, folder / entry.map
    if not (superposed.is_file() and truth.is_file()):
        return None
    return TruthResult(entry, read_map(superposed)[0].numpy(), read_map(truth)[0].numpy())


def _read_table(file: Path) -> pd.DataFrame | None:
    """Read the particle table of a STAR file, or None if there is no such file."""
    if not file.exists():
        return None
    tables = read_star(file)
    return tables.get("particles", next(reversed(tables.values())))
