"""Chapter 2 of Paul (2024): alignment by encoders of moments (section 2.4.1), then cryo-EM (`cryoem`).

Signals and densities are mixtures of one, two or three Gaussians on 32 samples. Encoders are trained on exact moments;
then noisy moments of new data sets are matched by refining the weights, with and without that training, beside the
classical ways. The thesis does not tell the length, the parameters of the mixtures, the signals' scale or the weight of
the second moment in the loss: what is taken for them stands in `moments.mixtures` (signals have mean 1), and errors of
moments are relative. Its numbers are for its own family, so they are beside the measured ones, not under them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.seeds import generator_for
from cryorbit.moments.encoders import Architecture, Target
from cryorbit.moments.losses import shift_error
from cryorbit.moments.mixtures import draw_examples
from cryorbit.moments.pair import Moments
from cryorbit.moments.spectral import spectral_solution
from cryorbit.moments.training import PARTS
from cryorbit.recipes import mra_training
from cryorbit.recipes.mra_training import (
    TARGETS,
    MeanErrors,
    TrainEncodersConfig,
    TrainEncodersResult,
    read_encoders,
)
from cryorbit.recipes.pipeline.stage import Stage, work_on
from cryorbit.studies.figures import save_png
from cryorbit.studies.kept import keep
from cryorbit.studies.paul2024.ch2 import cryoem
from cryorbit.studies.paul2024.ch2.figures import draw_courses
from cryorbit.studies.paul2024.ch2.recovery import Course, Recovery, recover, summarise
from cryorbit.studies.registry import ReproduceConfig, choose_scale
from cryorbit.studies.tables import Row, write_table

LENGTH = 32
PUBLISHED: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {
        1: ("0.048", "0.052", "0.042", "0.048"),
        2: ("0.156", "0.170", "0.121", "0.141"),
        3: ("0.180", "0.206", "0.177", "0.195"),
    }
)
"""Table 2.1 by Gaussians: errors of the signal in training and test, of the density in training and test."""
ARCHITECTURES: tuple[Architecture, ...] = ("equivariant", "appendix")
REFINED: tuple[Architecture, int] = ("equivariant", 2)
"""Which encoders are refined to data sets (figure 2.4)."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done.

    Attributes
    ----------
    steps
        Training steps of 64 examples for each encoder.
    tested
        Examples of the test error.
    spectral
        Examples that the spectral method is tried on.
    recovery
        The data sets whose moments are matched.
    """

    steps: int
    tested: int
    spectral: int
    recovery: Recovery


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "quick": Scale(600, 4000, 20, Recovery(sets=3, observations=100_000, steps=200, every=5)),
        "medium": Scale(10_000, 100_000, 200, Recovery(sets=20, observations=1_000_000, steps=1000, every=10)),
        "full": Scale(25_000, 250_000, 200, Recovery(sets=20, observations=1_000_000, steps=3000, every=10)),
    }
)


def run(config: ReproduceConfig, progress: Progress) -> Sequence[Path]:
    """Train, refine, and write tables and figures; returns the files.

    Trainings are jobs of their own in the output folder: given the same folder again, finished ones are kept and others
    go on from their checkpoints.

    Raises
    ------
    Stopped
        The run was asked to stop.
    """
    scale = choose_scale(SCALES, config)
    errors: dict[int, dict[str, Mapping[Target, MeanErrors]]] = {count: {} for count in PUBLISHED}
    for each, count in product(ARCHITECTURES, PUBLISHED):
        errors[count][each] = _train(config, each, count, progress)
    for count, by_method in errors.items():
        by_method["spectral method"] = _spectral_errors(config, scale.spectral, count, progress)
    rows = [row for count, by_method in errors.items() for row in _rows(count, by_method)]
    files = write_table(config.output / "table_2_1", rows, "Paul 2024, table 2.1", _training_notes(scale))
    courses = _recover(config, progress)
    title, notes = "Moments matched from noisy data sets (Paul 2024, figure 2.4)", _recovery_notes(scale.recovery)
    files += write_table(config.output / "recovery", summarise(courses), title, notes)
    files.append(save_png(draw_courses(courses), config.output / "figure_2_4.png"))
    return [*files, *cryoem.run(config, progress)]


def _folder(config: ReproduceConfig, architecture: Architecture, components: int) -> Path:
    return config.output / f"{architecture}_{components}"


def _train(
    config: ReproduceConfig, architecture: Architecture, components: int, progress: Progress
) -> Mapping[Target, MeanErrors]:
    """Errors in training and test by target; the training itself unless it is done."""
    scale, folder = choose_scale(SCALES, config), _folder(config, architecture, components)
    settings = TrainEncodersConfig(
        output=folder,
        components=components,
        length=LENGTH,
        architecture=architecture,
        steps=scale.steps,
        test_count=scale.tested,
        seed=config.seed,
    )
    title = f"{architecture} encoders, {components} Gaussians"
    stage = Stage(title, "mra train", folder, settings, mra_training.run, TrainEncodersResult, ())
    return work_on(stage, progress).errors


def _spectral_errors(
    config: ReproduceConfig, count: int, components: int, progress: Progress
) -> Mapping[Target, MeanErrors]:
    """Mean errors by target that the spectral method makes of exact moments of ``count`` examples."""
    examples = draw_examples(count, components, LENGTH, generator_for(config.seed, "paul2024 examples", components))
    progress.start(count, f"spectral method, {components} Gaussians")
    solutions = []
    for first, second in zip(examples.moments.first.double(), examples.moments.second.double(), strict=True):
        if progress.stop_requested():
            raise Stopped
        solutions.append(spectral_solution(Moments(first, second), 1e-6 * float(second.trace())))
        progress.advance()
    signals, densities = map(torch.stack, zip(*solutions, strict=True))
    pairs: dict[Target, tuple[Tensor, Tensor]] = {
        "signal": (signals, examples.signals.double()),
        "density": (densities, examples.densities.double()),
    }
    samples, any_shift = PARTS
    return {
        target: MeanErrors((float(shift_error(*pair, samples).mean()), float(shift_error(*pair, any_shift).mean())))
        for target, pair in pairs.items()
    }


def _recover(config: ReproduceConfig, progress: Progress) -> list[Course]:
    """Match the moments of every data set in every way; finished sets are kept."""
    scale, trained = choose_scale(SCALES, config), _folder(config, *REFINED)
    progress.start(scale.recovery.sets, "data sets")
    courses: list[Course] = []
    for number in range(scale.recovery.sets):
        if progress.stop_requested():
            raise Stopped
        work = partial(_courses, scale.recovery, trained, generator_for(config.seed, "paul2024 observations", number))
        courses_of_set = keep(config.output, f"data set {number}", (scale, REFINED, LENGTH, config.seed), work)
        courses += [Course(**each) for each in courses_of_set]
        progress.advance()
    return courses


def _courses(recovery: Recovery, trained: Path, generator: torch.Generator) -> list[dict[str, Any]]:
    """The courses on one new data set, as plain dictionaries."""
    recovered = recover(recovery, lambda: read_encoders(trained).pair, REFINED, LENGTH, generator)
    return [asdict(each) for each in recovered]


def _rows(components: int, by_method: Mapping[str, Mapping[Target, MeanErrors]]) -> Iterator[Row]:
    """Published and measured errors for one number of Gaussians, these by method."""
    columns = [f"{target}, {part}" for target in TARGETS for part in ("train", "test", "test, any shift")]
    nothing = dict.fromkeys(columns, "")
    told = [column for column in columns if not column.endswith("any shift")]
    published = dict(zip(told, PUBLISHED[components], strict=True))
    yield {"Gaussians": components, "method": "published", **nothing, **published}
    for method, errors in by_method.items():
        cells = {f"{target}, test": f"{errors[target].test[0]:.3f}" for target in TARGETS}
        cells |= {f"{target}, test, any shift": f"{errors[target].test[1]:.3f}" for target in TARGETS}
        cells |= {f"{name}, train": f"{each.train[0]:.3f}" for name, each in errors.items() if each.train is not None}
        yield {"Gaussians": components, "method": method, **nothing, **cells}


def _training_notes(scale: Scale) -> list[str]:
    return [
        "Mean relative errors up to a shift by whole samples (equation 2.9), or by any; exact moments.",
        "Moments of smooth signals do not tell a shift of signal against density by part of a sample, so that errors "
        "up to whole samples stay above zero whatever the method, most of all for one Gaussian.",
        f"equivariant, appendix: {scale.steps:,} steps of 64 new examples an encoder, {scale.tested:,} in the test.",
        "The thesis trains on 1.75e6 pairs for 3e4 epochs; its mixtures' parameters are not published.",
        f"spectral method: classical, no training; {scale.spectral} examples.",
    ]


def _recovery_notes(recovery: Recovery) -> list[str]:
    return [
        f"{recovery.sets} data sets, mixtures of two Gaussians, {recovery.observations:,} observations each, sigma 1.",
        "start, end: means before and after refinement; moments: sum of relative errors (equation 2.10).",
        f"{recovery.steps:,} steps of Adam on the weights; least squares: spectral and four random starts.",
        "steps to untrained: first step at which the mean error of the moments is below where untrained weights end.",
    ]
