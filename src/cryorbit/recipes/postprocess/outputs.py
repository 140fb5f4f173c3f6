"""What post-processing leaves: maps, mask, curves, local resolution, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from cryorbit.core.verdict import Verdict
from cryorbit.evaluation.conical_fsc import ConicalFSC
from cryorbit.evaluation.fsc import FSCCurve, resolution_at
from cryorbit.evaluation.sharpening import GuinierFit
from cryorbit.io.fsc_files import FREQUENCY, write_fsc
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import ClassRecord, Measured, Result
from cryorbit.io.mrc import write_map
from cryorbit.recipes.postprocess.analysis import HalfMapAnalysis
from cryorbit.recipes.postprocess.judgement import judge

BEST, MEDIAN, WORST = 0.05, 0.5, 0.95
"""Quantiles of the local resolution that are reported."""


@dataclass(frozen=True, slots=True)
class LocalResolution:
    """5 %, 50 % and 95 % quantiles of the local resolution inside the mask, A."""

    best_A: Measured  # noqa: N815 (units belong to the name)
    median_A: Measured  # noqa: N815
    worst_A: Measured  # noqa: N815


@dataclass(frozen=True, slots=True, kw_only=True)
class PostprocessResult(Result):
    """What post-processing computed.

    Attributes
    ----------
    resolution_A, resolution_unmasked_A
        Where the corrected and the unmasked correlation fall below 0.143.
    b_factor
        Applied, A^2; negative sharpens, 0 where no fall-off is beyond doubt.
    b_factor_fitted, b_factor_error
        As fitted, and its standard error, A^2; None where the resolution leaves too few shells.
    mask_bias
        Correlation that the mask makes at the resolution; above 0.05 a given mask is too tight.
    holds_to_A
        Resolution of the last shell in which the half-maps hold data, A: none can be finer.
    local_resolution
        Its quantiles.
    conical_area_ratio
        Smallest over largest area under the correlation by direction.
    sampling_factor, unsampled
        Sampling compensation factor of the views, and part of the directions without any; None without poses.
    """

    verdict: Verdict
    resolution_A: Measured  # noqa: N815 (units belong to the name)
    resolution_unmasked_A: Measured  # noqa: N815
    b_factor: Measured
    b_factor_fitted: float | None
    b_factor_error: float | None
    mask_bias: Measured
    holds_to_A: Measured  # noqa: N815
    local_resolution: LocalResolution
    conical_area_ratio: Measured
    sampling_factor: float | None
    unsampled: float | None


def write_outputs(job: JobFolder, analysis: HalfMapAnalysis, shared_poses: bool) -> PostprocessResult:
    """Write every file of the job and its record."""
    result = _summarise(analysis, shared_poses)
    _write_maps(job, analysis)
    curves = {name: getattr(analysis.fsc, name).numpy() for name in ("corrected", "unmasked", "masked", "randomised")}
    general = {
        "rlnFinalResolution": result.resolution_A,
        "rlnBfactorUsedForSharpening": result.b_factor,
        "rlnRandomiseFrom": _period(analysis.fsc.frequency_per_A, analysis.fsc.randomised_from),
    }
    frequency = analysis.fsc.frequency_per_A.numpy()
    write_fsc(job.path / "postprocess", frequency, curves, "half-maps, corrected for the mask", general)
    _write_table(job, "conical_fsc.csv", _conical_table(analysis.cones, frequency))
    if analysis.sharpened.fit is not None:
        _write_table(job, "guinier.csv", _guinier_table(analysis.sharpened.fit))
    job.write_result(result)
    return result


def _summarise(analysis: HalfMapAnalysis, shared_poses: bool) -> PostprocessResult:
    inside = analysis.local[analysis.mask > 0.5].double().cpu().numpy()
    sampling, fit, resolution = analysis.sampling, analysis.sharpened.fit, analysis.fsc.resolution()
    shown = ClassRecord(name="map", map="postprocess_masked.mrc", fsc="postprocess.csv", resolution_A=resolution)
    return PostprocessResult(
        classes=(shown,),
        verdict=judge(analysis, shared_poses),
        resolution_A=resolution,
        resolution_unmasked_A=resolution_at(FSCCurve(analysis.fsc.frequency_per_A, analysis.fsc.unmasked), 0.143),
        b_factor=analysis.sharpened.b_factor,
        b_factor_fitted=None if fit is None else fit.b_factor,
        b_factor_error=None if fit is None else fit.error,
        mask_bias=analysis.fsc.mask_bias,
        holds_to_A=analysis.fsc.finest_A,
        local_resolution=LocalResolution(*(float(np.quantile(inside, part)) for part in (BEST, MEDIAN, WORST))),
        conical_area_ratio=analysis.cones.area_ratio,
        sampling_factor=None if sampling is None else sampling.factor,
        unsampled=None if sampling is None else sampling.unsampled,
    )


def _write_maps(job: JobFolder, analysis: HalfMapAnalysis) -> None:
    volumes = {
        "postprocess.mrc": analysis.sharpened.volume,
        "postprocess_masked.mrc": analysis.sharpened.volume * analysis.mask,
        "mask.mrc": analysis.mask,
        "local_resolution.mrc": analysis.local,
        "local_filtered.mrc": analysis.filtered,
    }
    for name, volume in volumes.items():
        if volume is not None:
            write_map(job.path / name, volume, analysis.pixel_size)


def _conical_table(cones: ConicalFSC, frequency: np.ndarray) -> pd.DataFrame:
    """Spread of the correlation over the directions, a row a shell."""
    parts = {"lowest": 0.0, "lower_tenth": 0.1, "median": 0.5, "upper_tenth": 0.9, "highest": 1.0}
    curves = {name: torch.quantile(cones.correlation, part, 0).numpy() for name, part in parts.items()}
    return pd.DataFrame({FREQUENCY: frequency, **curves})


def _guinier_table(fit: GuinierFit) -> pd.DataFrame:
    """Logarithm of the amplitudes and what was fitted to it, a row a shell that has a weight."""
    table = {"inverse_square_per_A2": fit.inverse_square, "log_amplitude": fit.log_amplitude, "fit": fit.fitted}
    within = (fit.inverse_square >= fit.from_A**-2) & (fit.inverse_square <= fit.to_A**-2)
    frame = pd.DataFrame({name: values.numpy() for name, values in table.items()}).assign(fitted=within.numpy())
    return frame[np.isfinite(frame["log_amplitude"])]


def _write_table(job: JobFolder, name: str, table: pd.DataFrame) -> None:
    with job.atomic(name) as file:
        table.to_csv(file, index=False)


def _period(frequency: torch.Tensor, shell: int) -> float:
    """Resolution in A of a shell, at most the last one."""
    return 1 / float(frequency[min(shell, len(frequency) - 1)])
