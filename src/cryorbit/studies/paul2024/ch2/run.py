"""Chapter 2 of Paul (2024): alignment by encoders of moments (section 2.4.1), then cryo-EM (`cryoem`).

Signals and densities are mixtures of one, two or three Gaussians on 32 samples. Encoders are trained on exact moments;
then noisy moments of new data sets are matched by refining the weights, with and without that training, beside the
classical ways. The thesis does not state the length, the parameters of the mixtures, the scale of the signals or the
weight of the second moment in the loss: what is taken for them stands in `moments.mixtures` (signals have mean 1), and
errors of moments are relative. Its numbers are for its own family, so they are beside the measured ones, not under
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor

from cryorbit.core.progress import Progress
from cryorbit.core.seeds import generator_for
from cryorbit.io.job_folder import JobFolder
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
from cryorbit.recipes.pipeline.stage import Stage
from cryorbit.studies.bench import Bench
from cryorbit.studies.figures import save_png
from cryorbit.studies.paul2024.ch2 import cryoem
from cryorbit.studies.paul2024.ch2.config import Chapter2Config, RecoverySettings
from cryorbit.studies.paul2024.ch2.figures import draw_courses
from cryorbit.studies.paul2024.ch2.recovery import Course, recover, summarise
from cryorbit.studies.result import StudyResult
from cryorbit.studies.tables import PUBLISHED, Row, Table, name_seeds, write_table

ERRORS_PUBLISHED: Mapping[int, tuple[str, ...]] = MappingProxyType(
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


Errors: TypeAlias = dict[int, dict[str, Mapping[Target, MeanErrors]]]
"""Mean errors by target, of each method, for each number of Gaussians."""


def run(config: Chapter2Config, job: JobFolder, progress: Progress) -> StudyResult:
    """Train, refine, invert, and write tables, figures and maps.

    Trainings are jobs of their own in the job folder, which go on from their checkpoints.

    Raises
    ------
    Stopped
        The job was asked to stop; what is finished is kept.
    """
    bench = Bench(job, progress)
    _study_encoders(config, bench)
    _study_recovery(config, bench)
    cryoem.run(config, bench)
    return bench.result


def _study_encoders(config: Chapter2Config, bench: Bench) -> None:
    """Table 2.1."""
    errors: Errors = {count: {} for count in ERRORS_PUBLISHED}
    write = partial(_write_errors, errors, config, bench.folder)
    for each, count in product(ARCHITECTURES, ERRORS_PUBLISHED):
        errors[count][each] = _train(config, each, count, bench)
        bench.show(write)
    bench.start(len(errors), "spectral method")
    for count, by_method in errors.items():
        work = partial(_spectral_errors, config, count, bench)
        inputs = (config.spectral, config.training.length, count, config.seed)
        means = bench.part(f"spectral method, {count} Gaussians", inputs, work)
        by_method["spectral method"] = {target: MeanErrors((test[0], test[1])) for target, test in means.items()}
        bench.show(write)
    bench.publish(write())


def _write_errors(errors: Errors, config: Chapter2Config, output: Path) -> list[Path]:
    rows = [row for count, by_method in errors.items() for row in _rows(count, by_method, config.seed)]
    table = Table("Paul 2024, table 2.1", rows, [config.seed], _training_notes(config))
    return write_table(output / "table_2_1", table)


def _folder(bench: Bench, architecture: Architecture, components: int) -> Path:
    return bench.folder / f"{architecture}_{components}"


def _train(
    config: Chapter2Config, architecture: Architecture, components: int, bench: Bench
) -> Mapping[Target, MeanErrors]:
    """Errors in training and test by target; the training itself unless it is done."""
    folder = _folder(bench, architecture, components)
    settings = TrainEncodersConfig(
        output=folder,
        components=components,
        architecture=architecture,
        seed=config.seed,
        **config.training.model_dump(),
    )
    title = f"{architecture} encoders, {components} Gaussians"
    stage = Stage(title, "mra train", folder, settings, mra_training.run, TrainEncodersResult, ())
    return bench.work_on(stage).errors


def _spectral_errors(config: Chapter2Config, components: int, bench: Bench) -> dict[Target, list[float]]:
    """Mean errors of the spectral method on exact moments by target, up to whole samples and up to any shift."""
    generator = generator_for(config.seed, "paul2024 examples", components)
    examples = draw_examples(config.spectral, components, config.training.length, generator)
    solutions = []
    for first, second in zip(examples.moments.first.double(), examples.moments.second.double(), strict=True):
        bench.stop_if_asked()
        solutions.append(spectral_solution(Moments(first, second), 1e-6 * float(second.trace())))
    signals, densities = map(torch.stack, zip(*solutions, strict=True))
    pairs: dict[Target, tuple[Tensor, Tensor]] = {
        "signal": (signals, examples.signals.double()),
        "density": (densities, examples.densities.double()),
    }
    return {target: [float(shift_error(*pair, parts).mean()) for parts in PARTS] for target, pair in pairs.items()}


def _study_recovery(config: Chapter2Config, bench: Bench) -> None:
    """Match the moments of every data set in every way: figure 2.4."""
    settings, length, trained = config.recovery, config.training.length, _folder(bench, *REFINED)
    bench.start(settings.sets, "data sets")
    courses: list[Course] = []
    write = partial(_write_recovery, courses, config, bench.folder)
    for number in range(settings.sets):
        generator = generator_for(config.seed, "paul2024 observations", number)
        work = partial(_courses, settings, trained, length, generator)
        inputs = (settings, config.training, REFINED, config.seed)
        courses += [Course(**each) for each in bench.part(f"data set {number}", inputs, work)]
        bench.show(write)
    bench.publish(write())


def _courses(
    settings: RecoverySettings, trained: Path, length: int, generator: torch.Generator
) -> list[dict[str, Any]]:
    """The courses on one new data set, as plain dictionaries."""
    recovered = recover(settings, lambda: read_encoders(trained).pair, REFINED, length, generator)
    return [asdict(each) for each in recovered]


def _write_recovery(courses: Sequence[Course], config: Chapter2Config, output: Path) -> list[Path]:
    title, seeds = "Moments matched from noisy data sets (Paul 2024, figure 2.4)", [config.seed]
    table = Table(title, summarise(courses), seeds, _recovery_notes(config.recovery))
    figure = save_png(draw_courses(courses), output / "figure_2_4.png", seeds, mean=True)
    return [*write_table(output / "recovery", table), figure]


def _rows(components: int, by_method: Mapping[str, Mapping[Target, MeanErrors]], seed: int) -> Iterator[Row]:
    """Published and measured errors for one number of Gaussians, these by method."""
    columns = [f"{target}, {part}" for target in TARGETS for part in ("train", "test", "test, any shift")]
    nothing = dict.fromkeys(columns, "")
    printed = [column for column in columns if not column.endswith("any shift")]
    published = dict(zip(printed, ERRORS_PUBLISHED[components], strict=True))
    yield {"Gaussians": components, "method": "published", **nothing, **published, **PUBLISHED}
    for method, errors in by_method.items():
        cells = {f"{target}, test": f"{errors[target].test[0]:.3f}" for target in TARGETS}
        cells |= {f"{target}, test, any shift": f"{errors[target].test[1]:.3f}" for target in TARGETS}
        cells |= {f"{name}, train": f"{each.train[0]:.3f}" for name, each in errors.items() if each.train is not None}
        yield {"Gaussians": components, "method": method, **nothing, **cells, **name_seeds([seed])}


def _training_notes(config: Chapter2Config) -> list[str]:
    return [
        "Mean relative errors up to a shift by whole samples (equation 2.9), or by any shift; exact moments.",
        "Moments of smooth signals do not determine a shift of the signal against the density by part of a sample, so "
        "errors up to whole samples stay above zero for every method, most of all for one Gaussian.",
        f"equivariant, appendix: {config.training.steps:,} steps of {config.training.batch} new examples per "
        f"encoder, {config.training.test_count:,} in the test.",
        "The thesis trains on 1.75e6 pairs for 3e4 epochs; the parameters of its mixtures are not published.",
        f"spectral method: classical, no training; {config.spectral} examples.",
    ]


def _recovery_notes(recovery: RecoverySettings) -> list[str]:
    return [
        f"{recovery.sets} data sets, mixtures of two Gaussians, {recovery.observations:,} observations each, sigma 1.",
        "start, end: means before and after refinement; moments: sum of their relative errors (equation 2.10).",
        f"{recovery.steps:,} steps of Adam on the weights; least squares: spectral and four random starts.",
        "steps to untrained: steps until the mean error of the moments is below the final one of untrained weights.",
    ]
