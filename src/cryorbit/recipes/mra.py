"""Windowed multireference alignment: simulated observations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from cryorbit.core.bounds import LAST_SEED, MOST
from cryorbit.io.destinations import require_new_file
from cryorbit.io.mra_files import write_arrays
from cryorbit.recipes.settings import Settings
from cryorbit.simulate.mra import draw_observations, gaussian_pulse, mixture_density

OBSERVATIONS = "observations.npz"


class SimulateMRAConfig(Settings):
    """Settings of a simulation: a Gaussian pulse of norm 1 under shifts from an equal mixture of Gaussians."""

    output: Path = Field(description="Folder for the observations; new or empty.")
    length: int = Field(16, ge=2, le=MOST, description="Length of the signal, samples.")
    window: int = Field(12, ge=1, le=MOST, description="Length of an observation, samples.")
    count: int = Field(3000, ge=1, le=MOST, description="Number of observations.")
    sigma: float = Field(0.2, gt=0, le=MOST, description="Standard deviation of the noise.")
    pulse_width: float = Field(
        0.125, gt=0, le=MOST, description="Standard deviation of the pulse, as a fraction of the length."
    )
    centres: tuple[Annotated[float, Field(ge=-MOST, le=MOST)], ...] = Field(
        (0.25, 0.6875), min_length=1, description="Centres of the density of shifts, as fractions of the length."
    )
    density_width: float = Field(
        0.125,
        gt=0,
        le=MOST,
        description="Standard deviation of the shifts around each centre, as a fraction of the length.",
    )
    seed: int = Field(
        0, ge=0, le=LAST_SEED, description="Seed of all random choices; the same seed gives the same result."
    )


def simulate(config: SimulateMRAConfig) -> Path:
    """Simulate observations; returns the file, which holds the truth too.

    Raises
    ------
    InputError
        The window is longer than the signal, or the folder holds observations already.
    """
    file = config.output / OBSERVATIONS
    require_new_file(file)
    length = config.length
    signal = gaussian_pulse(length, config.pulse_width * length)
    density = mixture_density(length, [part * length for part in config.centres], config.density_width * length)
    generator = torch.Generator().manual_seed(config.seed)
    drawn = draw_observations(signal, density, config.window, config.sigma, config.count, generator)
    truth = {"signal": signal, "density": density, "shifts": drawn.shifts}
    write_arrays(file, {"data": drawn.data, "length": length, "sigma": config.sigma, **truth})
    return file
