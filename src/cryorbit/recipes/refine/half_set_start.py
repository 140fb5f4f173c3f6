"""One half-set from a random start to a first map: the search of ``abinit``, then preconditioned stochastic steps.

Nothing of the other half-set is used. The steps are those of the stage "sgd" on two random parts of the half-set, whose
correlation tells how far the resolution may grow. Held-out particles of the half-set judge what it has come to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.progress import Progress
from cryorbit.core.records import unpack
from cryorbit.core.seeds import generator_for
from cryorbit.inference.constraints import windowed
from cryorbit.io.job_folder import JobFolder
from cryorbit.recipes.abinit import passes
from cryorbit.recipes.abinit.config import AbinitConfig
from cryorbit.recipes.abinit.finish_stage import held_out_evidence, judging_radius
from cryorbit.recipes.abinit.prepare import AbinitDataset, held_out_rows
from cryorbit.recipes.abinit.search_stage import begin, search_iteration
from cryorbit.recipes.abinit.state import AbinitState
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.refine import radii
from cryorbit.recipes.refine.ball import ball_of
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.settling import widened
from cryorbit.recipes.refine.start import lead
from cryorbit.recipes.refine.state import RefineState
from cryorbit.recipes.refine.stochastic import stochastic_iteration
from cryorbit.recipes.settings import ParticleSettings
from cryorbit.recipes.stage_loop import Stages, go_through

NEITHER = -1
"""Number of the half of a particle that takes part in no step."""


@dataclass(frozen=True, slots=True)
class HalfSetStart:
    """Where the random start of a half-set is.

    Attributes
    ----------
    stage, iteration
        What comes next.
    search
        The search.
    steps
        The stochastic steps after it, on two parts of the half-set; None before the first.
    held_out
        Mean log-likelihood of held-out particles, nats; NaN before they are asked, or if there are none.
    lead_over_ball
        By how many standard errors they fit the map better than a ball of its radial profile; NaN likewise.
    """

    stage: str
    iteration: int
    search: AbinitState
    steps: RefineState | None = None
    held_out: float = float("nan")
    lead_over_ball: float = float("nan")

    @property
    def volume(self) -> Float[Tensor, "1 m m m"]:
        """The map of the half-set, on a working box."""
        return self.search.volume if self.steps is None else self.steps.references.mean(0)

    @property
    def noise_variance(self) -> Float[Tensor, " s"]:
        """Of each shell."""
        return self.search.noise_variance if self.steps is None else self.steps.noise_variance.mean(0)

    @property
    def radius(self) -> float:
        """Fourier radius at which poses may be scored next."""
        return self.search.radius if self.steps is None else self.steps.radius


Iteration = Callable[[RefineConfig, AbinitDataset, HalfSetStart], tuple[HalfSetStart, dict[str, Any]]]
DESCRIPTIONS = {
    "search": "random start to first map",
    "steps": "mini-batches of growing resolution",
    "judge": "held-out particles",
}


def make_start(
    config: RefineConfig, dataset: Dataset, number: int, part: JobFolder, progress: Progress
) -> HalfSetStart:
    """Start ``number`` of all: those of the two half-sets take turns.

    Raises
    ------
    Stopped
        The job was asked to stop; the checkpoint of the part holds everything done so far.
    """
    half = half_of(number)
    mine, search = half_set_alone(config, dataset, half), search_settings(config)
    stages: Stages[HalfSetStart] = Stages(
        iterations={name: partial(iteration, config, mine) for name, iteration in ITERATIONS.items()},
        describe=lambda state: f"half-set {half + 1}: {DESCRIPTIONS[state.stage]}",
        planned=lambda state: _planned(config, state.stage),
        restore=partial(restored, dataset),
        labels=lambda _: {"half_set": half + 1, "start": number // 2 + 1},
        watch=mine.source.watch,
        shortcut=lambda state: replace(state, stage="judge", iteration=0),
    )
    return go_through(stages, lambda: HalfSetStart("search", 0, begin(search, mine, number, ())), part, progress)


def restored(dataset: Dataset, packed: Any) -> HalfSetStart:
    """The state of a start from its checkpoint."""
    return unpack(HalfSetStart, packed, dataset.source.device)


def half_of(number: int) -> int:
    """The half-set of a start."""
    return number % 2


def search_settings(config: RefineConfig) -> AbinitConfig:
    """The settings of ``abinit`` under which the searches run."""
    shared = {name: getattr(config, name) for name in ParticleSettings.model_fields}
    start = config.random_start
    return AbinitConfig(**shared, held_out=start.held_out, search=start.search, shift_range=config.poses.shift_range)


def half_set_alone(config: RefineConfig, dataset: Dataset, half: int) -> AbinitDataset:
    """The particles of a half-set: those that train, in two random parts, and those that only judge; no symmetry."""
    rows = torch.nonzero(dataset.half_set == half)[:, 0]
    shuffled = rows[torch.randperm(len(rows), generator=generator_for(config.seed, "half-set from scratch", half))]
    held_out, order = held_out_rows(shuffled, config.random_start.held_out)
    parts = torch.arange(len(order)) % 2
    # held-out particles are judged, not inserted: their part has no meaning, but must be one
    of_part = torch.zeros_like(dataset.half_set).index_copy(0, order, parts)
    alone = replace(dataset, half_set=of_part, symmetry=dataset.symmetry[:1])
    values = {each.name: getattr(alone, each.name) for each in fields(alone)}
    return AbinitDataset(**values, order=order, held_out=held_out)


def _search(config: RefineConfig, dataset: AbinitDataset, state: HalfSetStart) -> tuple[HalfSetStart, dict[str, Any]]:
    """One step of the search."""
    search, metrics = search_iteration(search_settings(config), dataset, state.search)
    over = search.stage != "search"
    return replace(
        state, stage="steps" if over else "search", iteration=0 if over else search.iteration, search=search
    ), metrics


def _step(config: RefineConfig, dataset: AbinitDataset, state: HalfSetStart) -> tuple[HalfSetStart, dict[str, Any]]:
    """One stochastic step of both parts of the half-set.

    The last is that at which poses are sure and the resolution stands still: the half-sets together resolve more.
    """
    training = torch.full_like(dataset.half_set, NEITHER)
    training[dataset.order] = dataset.half_set[dataset.order]
    before = state.steps or _first_step(config, dataset, state.search)
    steps, metrics = stochastic_iteration(_unhurried(config), replace(dataset, half_set=training), before)
    stands = not widened(before.radius, steps.radius) and metrics["elsewhere"] < config.sgd.ambiguous
    over = stands or steps.stage != "sgd" or steps.radius >= _last_radius(config, dataset)
    return replace(
        state, stage="judge" if over else "steps", iteration=0 if over else steps.iteration, steps=steps
    ), metrics


def _last_radius(config: RefineConfig, dataset: AbinitDataset) -> float:
    """Fourier radius at which the half-sets meet: that of maps of ``abinit``, which show hand and axes."""
    return min(passes.largest_radius(search_settings(config), dataset), _finest(config, dataset))


def _finest(config: RefineConfig, dataset: AbinitDataset) -> float:
    """Largest Fourier radius at which a refinement scores poses."""
    return radii.largest_radius(config, dataset.box, dataset.source.pixel_size)


def _first_step(config: RefineConfig, dataset: AbinitDataset, search: AbinitState) -> RefineState:
    """Both parts begin with what the search came to."""
    return RefineState(
        stage="sgd",
        iteration=0,
        references=search.volume.expand(2, -1, -1, -1, -1).clone(),
        noise_variance=search.noise_variance.expand(2, -1).clone(),
        radius=min(search.radius, _finest(config, dataset)),
    )


def _unhurried(config: RefineConfig) -> RefineConfig:
    """Settings under which steps go on while the resolution grows: no pass follows that would be cheaper."""
    return config.model_copy(update={"sgd": config.sgd.model_copy(update={"ambiguous": 0.0})})


def _judge(config: RefineConfig, dataset: AbinitDataset, state: HalfSetStart) -> tuple[HalfSetStart, dict[str, Any]]:
    """What held-out particles of the half-set say of its map, and of a ball."""
    over = replace(state, stage="done", iteration=0)
    if not len(dataset.held_out):
        return over, {}
    search = search_settings(config)
    judged = replace(state.search, noise_variance=state.noise_variance, radius=judging_radius(search, dataset))
    window = dataset.window(state.volume.shape[-1])
    ball = windowed(ball_of(state.volume), window)
    of_map, of_ball = (
        held_out_evidence(search, dataset, replace(judged, volume=volume)).double() for volume in (state.volume, ball)
    )
    found = replace(over, held_out=float(of_map.mean()), lead_over_ball=lead(of_map, of_ball))
    return found, {"held_out_log_likelihood": found.held_out, "lead_over_ball": found.lead_over_ball}


def _planned(config: RefineConfig, stage: str) -> int | None:
    """Most iterations of a stage; None where they end when they bring nothing more."""
    search = config.random_start.search
    return {"search": round(search.longest * search.iterations), "judge": 1}.get(stage)


ITERATIONS: dict[str, Iteration] = {"search": _search, "steps": _step, "judge": _judge}
