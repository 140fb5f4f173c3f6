"""Windowed multireference alignment: simulated observations, and methods by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from cryorbit.core.errors import InputError
from cryorbit.io.mra_files import write_arrays
from cryorbit.optim.method import Method
from cryorbit.optim.registry import find_method
from cryorbit.recipes.settings import Settings
from cryorbit.simulate.mra import draw_observations, gaussian_pulse, mixture_density

OBSERVATIONS = "observations.npz"


class SimulateMRAConfig(Settings):
    """Settings of a simulation: a Gaussian pulse of norm 1 under shifts from an equal mixture of Gaussians."""

    output: Path = Field(description="Folder for the observations.")
    length: int = Field(16, ge=2, description="Samples of the signal.")
    window: int = Field(12, ge=1, description="Samples of an observation.")
    count: int = Field(3000, ge=1, description="Observations.")
    sigma: float = Field(0.2, gt=0, description="Standard deviation of the noise.")
    pulse_width: float = Field(0.125, gt=0, description="Standard deviation of the pulse, parts of the length.")
    centres: tuple[float, ...] = Field(
        (0.25, 0.6875), min_length=1, description="Centres of shifts, parts of the length."
    )
    density_width: float = Field(0.125, gt=0, description="Their standard deviation, parts of the length.")
    seed: int = Field(0, ge=0)


def simulate(config: SimulateMRAConfig) -> Path:
    """Simulate observations; returns the file, which holds the truth too.

    Raises
    ------
    InputError
        The window is longer than the signal.
    """
    length = config.length
    signal = gaussian_pulse(length, config.pulse_width * length)
    density = mixture_density(length, [part * length for part in config.centres], config.density_width * length)
    generator = torch.Generator().manual_seed(config.seed)
    drawn = draw_observations(signal, density, config.window, config.sigma, config.count, generator)
    truth = {"signal": signal, "density": density, "shifts": drawn.shifts}
    file = config.output / OBSERVATIONS
    write_arrays(file, {"data": drawn.data, "length": length, "sigma": config.sigma, **truth})
    return file


def make_method(name: str, settings: Mapping[str, Any]) -> Method[Any]:
    """The optimiser with these settings; ``InputError`` naming those it has if one is not among them."""
    kind = find_method(name)
    known: list[str] = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise InputError(f"{name} has no setting {unknown[0]!r}", mend=f"its settings are {', '.join(known)}")
    return kind(**settings)
