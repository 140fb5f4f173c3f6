"""The optimisation as a job: particles in, stretch after stretch with a checkpoint, a map and its course out."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.core.memory import BATCH_BYTES, require, room
from cryorbit.core.progress import Progress
from cryorbit.core.seeds import generator_for
from cryorbit.fourier.half_disc import HalfDisc, half_disc
from cryorbit.imaging.observations import Observations
from cryorbit.inference.full_marginal import BUDGET_BYTES
from cryorbit.inference.importance import SampledOracle
from cryorbit.inference.pose_quadrature import PoseQuadrature, ShiftPrior, pose_quadrature
from cryorbit.inference.priors import DensityPrior
from cryorbit.inference.volume_oracle import VolumeOracle
from cryorbit.io.job_folder import JobFolder
from cryorbit.optim.protocols import Oracle
from cryorbit.optim.stretches import Position, Stretches
from cryorbit.recipes.dataset import Dataset, read_dataset
from cryorbit.recipes.map_grid import read_onto
from cryorbit.recipes.method_course import MethodCourse, restored
from cryorbit.recipes.optimise.config import OptimiseConfig, QuadratureSettings
from cryorbit.recipes.optimise.course import HeldOutPoint, measure, sum_for
from cryorbit.recipes.optimise.outputs import OptimiseResult, write_outputs
from cryorbit.recipes.optimise.problem import OptimiseProblem, make_problem, scale_to_images
from cryorbit.recipes.optimise.shared_sum import SharedSum
from cryorbit.recipes.stage_loop import OVER, Stages, go_through
from cryorbit.volumes.voxel import resample

LOGGER = logging.getLogger(__name__)
DEFAULT_RESOLUTION, LARGEST_DEFAULT_RADIUS = 30.0, 10.0
"""Resolution, A, that is scored if none is asked for, and the Fourier radius that this does not exceed."""
COARSER = 2.0
"""Steps of the quadrature that proposes poses, over those of the one they are drawn from."""
BATCH = 1000
BYTES_PER_COEFFICIENT = 16
"""Of an observation in memory: data, weight and power in single precision."""


def run(config: OptimiseConfig, job: JobFolder, progress: Progress) -> OptimiseResult:
    """Optimise; continues from the job's checkpoint if it has one.

    Raises
    ------
    InputError
        The particles, the start map, the method or its settings cannot be used, or there is too little memory.
    Stopped
        The job was asked to stop; its checkpoint holds everything done so far.
    """
    method = config.make_method(config.method, config.settings)
    dataset = read_dataset(config, group=job.group).of_job(job)
    radius = scored_radius(config, dataset)
    problem = prepare(config, dataset, radius)
    oracle = sum_for(config.method, problem)
    if config.quadrature.draws is not None:
        oracle = sampled(config, problem, oracle)
    elif isinstance(oracle, VolumeOracle):
        oracle = SharedSum(oracle, job.group)
    stretches = Stretches(oracle, method, config.seed, config.points)
    for sentence in dataset.sentences:
        progress.note(sentence)
    progress.note(
        f"{problem.oracle.model.quadrature.count:,} poses an image, scored to {dataset.extent / radius:.1f} Å."
    )
    stages: Stages[MethodCourse[HeldOutPoint]] = Stages(
        iterations={"optimise": partial(_advance, config, dataset, problem, stretches)},
        describe=lambda _: f"{config.method} on {oracle.num_terms:,} particles",
        planned=lambda state: _planned(config, oracle.num_terms, state.position),
        restore=lambda packed: restored(packed, method, problem.start, HeldOutPoint),
        shortcut=lambda state: replace(state, stage=OVER),
        group=dataset.source.group,
    )
    course = go_through(stages, lambda: _begin(config, problem, stretches), job, progress)
    return write_outputs(config, dataset, problem, course, job)


def _begin(config: OptimiseConfig, problem: OptimiseProblem, stretches: Stretches) -> MethodCourse[HeldOutPoint]:
    position = stretches.begin(problem.start)
    return MethodCourse(_next_stage(config, problem, position), position, (measure(problem, position),))


def _advance(
    config: OptimiseConfig,
    dataset: Dataset,
    problem: OptimiseProblem,
    stretches: Stretches,
    state: MethodCourse[HeldOutPoint],
) -> tuple[MethodCourse[HeldOutPoint], dict[str, Any]]:
    """One stretch, and what the held-out particles say of it."""
    position = stretches.advance(state.position)
    point = measure(problem, position, state.position)
    resolution = dataset.extent / problem.oracle.model.operator.disc.radius
    # a method's line has what the method has
    measured = {name: value for name, value in asdict(point).items() if value is not None}
    metrics = {"log_likelihood": -point.held_out, **measured, "resolution_A": resolution}
    return MethodCourse(_next_stage(config, problem, position), position, (*state.points, point)), metrics


def _next_stage(config: OptimiseConfig, problem: OptimiseProblem, position: Position) -> str:
    """Go on until so many epochs' worth of gradients is spent."""
    return "optimise" if position.evaluations < config.epochs * problem.oracle.num_terms else OVER


def scored_radius(config: OptimiseConfig, dataset: Dataset) -> float:
    """Fourier radius that is scored, Fourier pixels; ``InputError`` where the images do not hold it."""
    if config.resolution is None:
        return min(dataset.extent / DEFAULT_RESOLUTION, LARGEST_DEFAULT_RADIUS, dataset.box / 2 - 1)
    radius = dataset.extent / config.resolution
    finest = dataset.extent / (dataset.box / 2 - 1)
    if not 2 <= radius <= dataset.box / 2 - 1:
        raise InputError(
            f"a resolution of {config.resolution:g} Å cannot be scored in a box of {dataset.extent:.0f} Å",
            fix=f"give one between {dataset.extent / 2:.0f} and {math.ceil(10 * finest) / 10:.1f}",
        )
    return radius


def prepare(config: OptimiseConfig, dataset: Dataset, radius: float) -> OptimiseProblem:
    """Read all particles as observations in random order, the last of which are held out, and make the start."""
    disc = half_disc(dataset.box, radius).to(dataset.source.device)
    quadrature = poses_of(config.quadrature, radius, dataset.box)
    if config.held_out >= len(dataset.source) // 2:
        raise InputError(
            f"{config.held_out} particles cannot be held out of {len(dataset.source)}", fix="hold out fewer than half"
        )
    _require_memory(config, len(dataset.source), disc, quadrature)
    order = torch.randperm(len(dataset.source), generator=generator_for(config.seed, "held-out images"))
    observations = observe_all(dataset, order, disc)
    prior = DensityPrior(config.prior.positive, config.prior.negative)
    problem = make_problem(observations, disc, quadrature, prior, config.held_out, config.seed)
    if config.start is None:
        return problem
    return OptimiseProblem(problem.oracle, problem.held_out, _start_map(config, dataset, problem))


def poses_of(settings: QuadratureSettings, radius: float, box: int, coarser: float = 1.0) -> PoseQuadrature:
    """The quadrature that the settings ask for, or one that is coarser by a factor."""
    reach = None if settings.shift_range is None else settings.shift_range * box
    return pose_quadrature(radius, box, ShiftPrior(settings.shift_sigma * box, reach), coarser * settings.undersampling)


def sampled(config: OptimiseConfig, problem: OptimiseProblem, oracle: Oracle) -> SampledOracle:
    """The sum estimated from poses drawn; ``InputError`` if the method looks for the best pose of all."""
    if oracle is not problem.oracle:
        raise InputError(f"{config.method} scores all poses", fix="leave quadrature.draws out")
    disc = problem.oracle.model.operator.disc
    coarse = poses_of(config.quadrature, disc.radius, disc.box, COARSER)
    assert config.quadrature.draws is not None
    return SampledOracle.of(problem.oracle, coarse, config.quadrature.draws, config.seed)


def observe_all(dataset: Dataset, order: Tensor, disc: HalfDisc) -> Observations:
    """All particles, in the given order, as observations at one radius."""
    source, shape = dataset.source, (len(order), len(disc))
    real = torch.zeros(shape, device=source.device)
    observations = Observations(torch.zeros(shape, dtype=torch.complex64, device=source.device), real, real.clone())
    for part in source.batches(len(order), BATCH):
        batch = source.observe(order[part], disc, dataset.noise_variance)
        observations.data[part], observations.weight[part], observations.power[part] = (
            batch.data,
            batch.weight,
            batch.power,
        )
    return observations


def _start_map(config: OptimiseConfig, dataset: Dataset, problem: OptimiseProblem) -> Tensor:
    """The start map at the strength of the images: grey scales of maps have no meaning."""
    assert config.start is not None
    volume, done = read_onto(config.start, dataset.box, dataset.source.pixel_size)
    if done is not None:
        LOGGER.info("Start map %s", done)
    density = resample(volume, problem.oracle.model.operator.grid.size).to(problem.start)
    return problem.oracle.model.unknown(density * scale_to_images(problem.oracle, density))


def _require_memory(config: OptimiseConfig, images: int, disc: HalfDisc, quadrature: PoseQuadrature) -> None:
    """Refuse what does not fit: images at their radius, and slices at all rotations with their sums."""
    slices = 5 * 8 * len(quadrature.rotations) * len(disc)
    scores = max(BUDGET_BYTES, 16 * len(quadrature.rotations) * len(quadrature.shifts))
    needs = {"images": BYTES_PER_COEFFICIENT * images * len(disc) + BATCH_BYTES, "poses": slices + scores}
    fix = "give more --memory, a coarser --resolution, or a larger quadrature.undersampling"
    require(needs, room(config.memory, torch.device(config.device)), fix)


def _planned(config: OptimiseConfig, terms: int, position: Position) -> int:
    """Stretches that are left, if gradients cost one evaluation each."""
    return max(1, math.ceil((config.epochs - position.evaluations / terms) * config.points))
