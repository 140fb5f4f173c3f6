"""A job folder made by hand: everything the report can show, small and quick."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cryorbit.io.fsc_files import write_fsc
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_run import running
from cryorbit.io.mrc import write_map
from cryorbit.io.star_writing import write_star

BOX = 32
PIXEL_SIZE = 4.0
PARTICLES = 600


def blob_map(seed: int) -> torch.Tensor:
    """A lump of Gaussian blobs off the axes."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*3 * [np.arange(BOX) - BOX // 2], indexing="ij"))
    centres = rng.normal(scale=BOX / 10, size=(12, 3))
    lumps = [np.exp(-((grid - centre[:, None, None, None]) ** 2).sum(0) / 8) for centre in centres]
    return torch.tensor(np.sum(lumps, axis=0), dtype=torch.float32)


def particle_table(classes: int, rng: np.random.Generator) -> pd.DataFrame:
    """Particles that prefer side views."""
    return pd.DataFrame(
        {
            "rlnImageName": [f"{index + 1:06d}@particles.mrcs" for index in range(PARTICLES)],
            "rlnAngleRot": rng.uniform(-180, 180, PARTICLES),
            "rlnAngleTilt": np.degrees(np.arccos(rng.normal(scale=0.4, size=PARTICLES).clip(-1, 1))),
            "rlnClassNumber": rng.integers(1, classes + 1, PARTICLES),
            "rlnMaxValueProbDistribution": rng.beta(2, 3, PARTICLES),
        }
    )


def write_metrics(job: JobFolder, classes: int, rng: np.random.Generator) -> None:
    """Two seeds of sixty iterations."""
    for seed in (0, 1):
        for iteration in range(60):
            shares = rng.dirichlet(np.full(classes, 40.0))
            job.write_metrics(
                {
                    "iteration": iteration,
                    "stage": "anneal",
                    "seed": seed,
                    "resolution_A": 40 - 0.4 * iteration,
                    "log_likelihood": -2 - 3 / (1 + iteration) + 0.05 * rng.normal(),
                    "ess": 200 / (1 + iteration / 5) + 2,
                    "class_fractions": shares,
                    "batch": 100,
                    "seconds": 0.3,
                }
            )


def fabricate_job(path: Path, classes: int = 2) -> JobFolder:
    """Make a finished ab initio job of ``classes`` classes at ``path``."""
    rng = np.random.default_rng(4)
    star = path.parent / "input.star"
    star.write_text("data_particles\n")
    config = {"particles": str(star), "classes": classes, "seed": 0, "device": "cpu", "schedule": {"start": 40.0}}
    job = JobFolder.create(path, verb="abinit", config=config, inputs=[star])
    frequency = np.arange(BOX // 2 + 1) / (BOX * PIXEL_SIZE)
    entries = []
    with running(job):
        write_metrics(job, classes, rng)
        for number in range(1, classes + 1):
            write_map(job.path / f"class_{number}.mrc", blob_map(number), PIXEL_SIZE)
            curve = 1 / (1 + np.exp((frequency - 0.05 - 0.01 * number) * 150))
            write_fsc(job.path / f"fsc_class_{number}", frequency, {"unmasked": curve}, title=f"class {number}")
            entries.append(
                {
                    "map": f"class_{number}.mrc",
                    "particles": PARTICLES // classes,
                    "fraction": 1 / classes,
                    "resolution_A": 14.2 - number,
                }
            )
        write_star(job.path / "particles.star", {"particles": particle_table(classes, rng)})
        reasons = {
            "rlnImageName": ["000007@bad.mrcs", "000009@bad.mrcs"],
            "cryorbitSetAsideReason": ["constant image", "NaN <b>"],
        }
        write_star(job.path / "set_aside.star", {"particles": pd.DataFrame(reasons)})
        job.record(
            result={
                "classes": entries,
                "verdict": {
                    "level": "good",
                    "sentence": "Independent runs agree to 14.1 Å: this map can be trusted to that resolution.",
                    "reasons": ["both seeds give one map", "no class is empty"],
                },
                "cross_seed": {
                    "seeds": [0, 1, 2],
                    "resolution_A": [[8.0, 14.1, 15.0], [14.1, 8.0, 14.8], [15.0, 14.8, 8.0]],
                    "correlation": [[1.0, 0.97, 0.96], [0.97, 1.0, 0.95], [0.96, 0.95, 1.0]],
                    "held_out_log_likelihood": [-2.01, -2.04, -2.05],
                },
            },
            timings={"prepare": 3.0, "solve": 64.0},
        )
    return job
