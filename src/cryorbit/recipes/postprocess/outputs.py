"""What post-processing leaves: maps, mask, curves, local resolution, and what is said of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch

from cryorbit.evaluation.conical_fsc import ConicalFSC
from cryorbit.evaluation.fsc import FSCCurve, resolution_at
from cryorbit.evaluation.sharpening import GuinierFit
from cryorbit.io.fsc_files import FREQUENCY, write_fsc
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import write_map
from cryorbit.recipes.abinit.verdict import Verdict
from cryorbit.recipes.postprocess.findings import Findings
from cryorbit.recipes.postprocess.judgement import judge

LOCAL_QUANTILES = {"best_A": 0.05, "median_A": 0.5, "worst_A": 0.95}


@dataclass(frozen=True, slots=True)
class PostprocessResult:
    """What post-processing found, as it stands in ``job.json``.

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
        5 %, 50 % and 95 % quantiles inside the mask, A.
    conical_area_ratio
        Smallest over largest area under the correlation by direction.
    sampling_factor, unsampled
        Sampling compensation factor of the views, and part of the directions without any; None without poses.
    verdict
        How far to trust it.
    """

    resolution_A: float  # noqa: N815 (units belong to the name)
    resolution_unmasked_A: float  # noqa: N815
    b_factor: float
    b_factor_fitted: float | None
    b_factor_error: float | None
    mask_bias: float
    holds_to_A: float  # noqa: N815
    local_resolution: dict[str, float]
    conical_area_ratio: float
    sampling_factor: float | None
    unsampled: float | None
    verdict: Verdict


def write_outputs(job: JobFolder, found: Findings, shared_poses: bool) -> PostprocessResult:
    """Write every file of the job and its record."""
    result = _summarise(found, shared_poses)
    _write_maps(job, found)
    curves = {name: getattr(found.fsc, name).numpy() for name in ("corrected", "unmasked", "masked", "randomised")}
    general = {
        "rlnFinalResolution": result.resolution_A,
        "rlnBfactorUsedForSharpening": result.b_factor,
        "rlnRandomiseFrom": _period(found.fsc.frequency_per_A, found.fsc.randomised_from),
    }
    frequency = found.fsc.frequency_per_A.numpy()
    write_fsc(job.path / "postprocess", frequency, curves, "half-maps, corrected for the mask", general)
    _write_table(job, "conical_fsc.csv", _conical_table(found.cones, frequency))
    if found.sharpened.fit is not None:
        _write_table(job, "guinier.csv", _guinier_table(found.sharpened.fit))
    shown = {
        "map": "postprocess_masked.mrc",
        "name": "map",
        "fsc": "postprocess.csv",
        "resolution_A": result.resolution_A,
    }
    job.record(result={"classes": [shown], **asdict(result)})
    return result


def _summarise(found: Findings, shared_poses: bool) -> PostprocessResult:
    inside = found.local[found.mask > 0.5].double().cpu().numpy()
    sampling, fit = found.sampling, found.sharpened.fit
    return PostprocessResult(
        resolution_A=found.fsc.resolution(),
        resolution_unmasked_A=resolution_at(FSCCurve(found.fsc.frequency_per_A, found.fsc.unmasked), 0.143),
        b_factor=found.sharpened.b_factor,
        b_factor_fitted=None if fit is None else fit.b_factor,
        b_factor_error=None if fit is None else fit.error,
        mask_bias=found.fsc.mask_bias,
        holds_to_A=found.fsc.finest_A,
        local_resolution={name: float(np.quantile(inside, part)) for name, part in LOCAL_QUANTILES.items()},
        conical_area_ratio=found.cones.area_ratio,
        sampling_factor=None if sampling is None else sampling.factor,
        unsampled=None if sampling is None else sampling.unsampled,
        verdict=judge(found, shared_poses),
    )


def _write_maps(job: JobFolder, found: Findings) -> None:
    volumes = {
        "postprocess.mrc": found.sharpened.volume,
        "postprocess_masked.mrc": found.sharpened.volume * found.mask,
        "mask.mrc": found.mask,
        "local_resolution.mrc": found.local,
        "local_filtered.mrc": found.filtered,
    }
    for name, volume in volumes.items():
        if volume is not None:
            write_map(job.path / name, volume, found.pixel_size)


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
