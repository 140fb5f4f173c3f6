"""The noise variance that the steps of the search assume: that of the background, or what residuals say of it."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from cryorbit.inference.grid_oracle import GridOracle
from cryorbit.inference.running_noise import (
    ResidualSums,
    RunningNoise,
    batch_residuals,
    no_residuals,
    white,
)
from cryorbit.recipes.abinit.config import AbinitConfig, SearchSettings
from cryorbit.recipes.abinit.prepare import AbinitDataset
from cryorbit.recipes.abinit.search_schedule import images_seen
from cryorbit.recipes.abinit.state import AbinitState


def assumed_noise(config: AbinitConfig, dataset: AbinitDataset, state: AbinitState) -> Float[Tensor, " s"]:
    """Noise variance of the shells for the next step; it starts high, which keeps poses from freezing."""
    settings, background = config.search, state.noise_variance
    start = white(background) if settings.noise_start == "white" else background
    if settings.noise_model == "background":
        return start * _inflation(settings, images_seen(config, dataset, state.iteration))
    return _running(settings).spectrum(_sums(state), start)


def measured_noise(
    config: AbinitConfig, state: AbinitState, oracle: GridOracle, assumed: Float[Tensor, " s"]
) -> ResidualSums | None:
    """Residuals of all steps with those that the last E-step of ``oracle`` left; None where none are measured."""
    residual = oracle.reports[-1].residual
    if residual is None:
        return None
    batch = batch_residuals(residual, oracle.observations, oracle.disc, assumed)
    return _running(config.search).joined(_sums(state), batch)


def _running(settings: SearchSettings) -> RunningNoise:
    return RunningNoise(
        settings.noise_decay, settings.noise_prior, settings.noise_inflation_images, settings.noise_inflation
    )


def _sums(state: AbinitState) -> ResidualSums:
    """The sums so far."""
    if state.searched is None or state.searched.residuals is None:
        return no_residuals(state.noise_variance)
    return state.searched.residuals


def _inflation(settings: SearchSettings, seen: float) -> float:
    """Factor on the noise variance: every image seen takes some of its excess over one away."""
    excess = (settings.noise_inflation - 1) / (1 + seen / settings.noise_inflation_images)
    return 1 + excess
