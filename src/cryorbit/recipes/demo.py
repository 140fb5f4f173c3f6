"""A first look: images of a known ribosome are simulated, reconstructed ab initio, and the map held against the truth.

The job folder is that of an ab initio reconstruction, and has besides: ``simulated/``, the images and the truth;
``class_1_on_truth.mrc``, the map superposed on the true one; and ``truth`` in the result of ``job.json``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from pydantic import Field

from cryorbit.core.bounds import MOST
from cryorbit.core.progress import Progress
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_result import Result, TruthRecord
from cryorbit.io.mrc import write_map
from cryorbit.recipes import abinit, evaluate, simulate
from cryorbit.recipes.abinit import AbinitConfig, AbinitResult
from cryorbit.recipes.abinit.config import GrowSettings, SearchSettings
from cryorbit.recipes.compare import read_box, write_json
from cryorbit.recipes.evaluate import ClassEvaluation, EvaluateConfig
from cryorbit.recipes.settings import JobSettings
from cryorbit.recipes.simulate import SimulateConfig

SIMULATED = "simulated"
TRUE_MAP = f"{SIMULATED}/truth_1.mrc"
SUPERPOSED = "class_1_on_truth.mrc"


class DemoConfig(JobSettings):
    """Settings of the demo.

    Attributes
    ----------
    output
        Job folder.
    count
        Images.
    snr
        Their signal-to-noise ratio.
    seed
        Seed of the images and of the reconstruction.
    seeds
        Independent random starts of the reconstruction.
    device, threads
        As for ab initio reconstruction.
    search, grow
        Stages of the reconstruction.
    """

    count: int = Field(1500, ge=100, le=MOST, description="Number of images to simulate.")
    snr: float = Field(
        0.1, gt=0, le=MOST, description="Signal-to-noise ratio: variance of the signal over variance of the noise."
    )
    seeds: int = Field(2, ge=1, le=50, description="Number of independent random starts of the reconstruction.")
    search: SearchSettings = SearchSettings()
    grow: GrowSettings = GrowSettings()


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The reconstruction, and how far its map and poses are from the truth."""

    reconstruction: AbinitResult
    against_truth: ClassEvaluation


def run(config: DemoConfig, job: JobFolder, progress: Progress) -> DemoResult:
    """Simulate, reconstruct, compare; goes on where the job was stopped.

    Raises
    ------
    Stopped
        The job was asked to stop; what is done is kept.
    """
    _simulate(config, job, progress)
    reconstruction = abinit.run(_abinit_config(config, job), job, progress)
    progress.note("comparing the map with the truth")
    return DemoResult(reconstruction, _compare(job))


@contextmanager
def demo_map() -> Iterator[Path]:
    """The map that comes with the package: a 70S ribosome, simulated from PDB entry 4V5A (CC0)."""
    with as_file(files("cryorbit") / "data" / "ribosome_70S.mrc") as path:
        yield path


def _simulate(config: DemoConfig, job: JobFolder, progress: Progress) -> None:
    """Images of the packaged map, unless an earlier run of this job has made them."""
    # the true map is the last file that a simulation writes
    if (job.path / TRUE_MAP).exists():
        return
    progress.note(f"simulating {config.count:,} images of a ribosome, signal-to-noise ratio {config.snr:g}")
    with demo_map() as path:
        settings = SimulateConfig(
            maps=(path,),
            output=job.path / SIMULATED,
            count=config.count,
            snr=config.snr,
            seed=config.seed,
            device=config.device,
        )
        simulate.run(settings, progress)


def _abinit_config(config: DemoConfig, job: JobFolder) -> AbinitConfig:
    return AbinitConfig(
        particles=job.path / SIMULATED / "particles.star",
        output=job.path,
        seed=config.seed,
        seeds=config.seeds,
        device=config.device,
        threads=config.threads,
        search=config.search,
        grow=config.grow,
    )


def _compare(job: JobFolder) -> ClassEvaluation:
    """Hold the map and the poses against the truth; keep the superposed map and the numbers."""
    evaluation = evaluate.run(
        EvaluateConfig(
            folder=job.path,
            truth_maps=(job.path / TRUE_MAP,),
            truth_poses=job.path / SIMULATED / "truth.star",
        )
    )
    write_json(job.path / "evaluation.json", evaluation.as_record())
    only = evaluation.classes[0]
    assert only.comparison is not None
    assert only.poses is not None
    _, pixel_size = read_box(job.path / TRUE_MAP)
    write_map(job.path / SUPERPOSED, only.comparison.alignment.aligned, pixel_size)
    errors = only.poses.summary()
    truth = TruthRecord(
        map=TRUE_MAP,
        superposed=SUPERPOSED,
        resolution_fsc05_A=only.comparison.resolution(0.5),
        resolution_fsc0143_A=only.comparison.resolution(0.143),
        correlation=only.comparison.cc,
        hand_flipped=only.comparison.alignment.hand_flipped,
        angle_median_deg=errors["angle_median_deg"],
        shift_median_A=errors["shift_median_A"],
    )
    job.write_result(Result(truth=truth))
    return only
