"""Conditioning and preconditioned stochastic gradients, Toader, Brubaker & Lederman (2025), on simulated images.

In three parts: condition numbers of known poses over radius and number of images; ten epochs of plain and
preconditioned methods from noise, against the exact minimum, which the paper approximates by a thousand iterations of
L-BFGS; and the same with poses integrated over a neighbourhood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cryorbit.core.progress import Progress
from cryorbit.core.records import pack
from cryorbit.io.job_folder import JobFolder
from cryorbit.studies.bench import Bench
from cryorbit.studies.figures import save_png
from cryorbit.studies.result import StudyResult
from cryorbit.studies.tables import Row, Table, write_table
from cryorbit.studies.toader2023.conditioning import Spectra, condition, list_probes, list_spectra, spectra
from cryorbit.studies.toader2023.config import Toader2023Config
from cryorbit.studies.toader2023.contenders import BATCHES, CONTENDERS
from cryorbit.studies.toader2023.courses import EPOCHS, LOOKS, Course, Optimum, pursue
from cryorbit.studies.toader2023.data import FIELD_A, SNR, simulate
from cryorbit.studies.toader2023.figures import draw_convergence, draw_correlations, draw_spectra
from cryorbit.studies.toader2023.marginal import (
    MarginalCourse,
    epochs_of,
    list_courses,
    methods,
    problem_with_errors,
    pursue_marginal,
)
from cryorbit.volumes.fourier_ball import PAD

TITLE = "Toader, Brubaker & Lederman 2025"


def run(config: Toader2023Config, job: JobFolder, progress: Progress) -> StudyResult:
    """Do the three parts, and write tables and figures of each.

    Raises
    ------
    Stopped
        The job was asked to stop; what is finished is kept.
    """
    bench = Bench(job, progress)
    study_conditioning(config, bench)
    study_convergence(config, bench)
    study_marginal(config, bench)
    return bench.result


def study_conditioning(config: Toader2023Config, bench: Bench) -> None:
    """Condition numbers over radius and number of images."""
    bench.start(len(config.radii) * len(config.counts), "condition numbers")
    most, largest = max(config.counts), max(config.radii)
    data, rows = simulate(config.small_box, most, largest, config.seed), list[Row]()
    write = partial(_write_conditioning, rows, config, bench.folder)
    for radius in config.radii:
        for count in config.counts:
            inputs = (config.small_box, most, largest, radius, count, config.seed)
            name = f"condition numbers, radius {radius:g}, {count} images"
            rows.append(bench.part(name, inputs, partial(condition, data, radius, count), _condition_number))
            bench.show(write)
    bench.publish(write())


def _condition_number(row: Row) -> Mapping[str, float]:
    return {"condition": float(str(row["with CTF"]))}


def _write_conditioning(rows: Sequence[Row], config: Toader2023Config, output: Path) -> list[Path]:
    notes = [
        f"{config.small_box} pixels, regularisation 1e-8, trilinear interpolation without padding (factor {PAD}).",
        "bound, slices alone: every slice passes through the origin, 3 / (4 radius) of them through another point.",
        "bound, diagonal: largest diagonal entry over the smallest, with CTF.",
        "unseen: fraction of coefficients that no image contains; their eigenvalue is the regularisation.",
        "The paper's notebooks (192 pixels, 30,000 images): 6.1e6 with CTF, nearest neighbour; 1.8e6 trilinear.",
    ]
    return write_table(output / "conditioning", Table(f"{TITLE}: condition numbers", rows, [config.seed], notes))


def study_convergence(config: Toader2023Config, bench: Bench) -> None:
    """Ten epochs of every method in known poses."""
    bench.start(len(CONTENDERS) + 1, "known poses")
    data = simulate(config.box, config.images, config.radius, config.seed)
    optimum = Optimum.of(data.problem(config.images, config.radius), data.density)
    inputs = (config.box, config.images, config.radius, config.seed)
    measured = bench.part("spectra", inputs, lambda: pack(spectra(optimum, config.seed)))
    bench.publish(_write_spectra(Spectra.restored(measured), config, bench.folder))
    courses: list[Course] = []
    write = partial(_write_courses, courses, config, bench.folder)
    for contender in CONTENDERS:
        work = partial(pursue, contender, optimum, config.seed, bench.progress)
        fields = bench.part(f"known poses, {contender.name}", (contender.name, *inputs), work, _last_gap)
        courses.append(Course(contender, **fields))
        bench.show(write)
    bench.publish(write())


def _last_gap(fields: Mapping[str, Any]) -> Mapping[str, float]:
    return {"gap": fields["gaps"][-1]}


def _write_spectra(measured: Spectra, config: Toader2023Config, output: Path) -> list[Path]:
    seeds = [config.seed]
    by_shell = Table(f"{TITLE}: the diagonal by shell", list_spectra(measured), seeds)
    errors = Table(f"{TITLE}: errors of Hutchinson's estimate", list_probes(measured.probes), seeds)
    files = [*write_table(output / "diagonal", by_shell), *write_table(output / "probes", errors)]
    return [*files, save_png(draw_spectra(measured), output / "spectra.png", seeds)]


def _write_courses(courses: Sequence[Course], config: Toader2023Config, output: Path) -> list[Path]:
    seeds = [config.seed]
    tables = {
        "table": Table(f"{TITLE}: known poses", summarise(courses), seeds, _notes(config)),
        "epochs": Table(f"{TITLE}: known poses, every epoch", list_epochs(courses), seeds),
        "shells": Table(f"{TITLE}: correlations by shell", list_shells(courses), seeds),
    }
    files = [file for name, table in tables.items() for file in write_table(output / name, table)]
    files.append(save_png(draw_convergence(courses), output / "convergence.png", seeds))
    return [*files, save_png(draw_correlations(courses), output / "shells.png", seeds)]


def study_marginal(config: Toader2023Config, bench: Bench) -> None:
    """The same with poses integrated over a neighbourhood."""
    settings, seed = config.marginal, config.seed
    data = simulate(config.small_box, settings.images, settings.radius, seed)
    problem = problem_with_errors(data, settings.images, settings.radius, seed)
    contenders, courses = methods(problem), list[MarginalCourse]()
    bench.start(len(contenders), "poses integrated over")
    write = partial(_write_marginal, courses, config, bench.folder)
    for name, method in contenders.items():
        epochs = epochs_of(name, settings.epochs)
        work = partial(pursue_marginal, problem, method, epochs, seed, bench.progress)
        fields = bench.part(f"integrated, {name}", (name, config.small_box, settings, seed), work, _last_value)
        courses.append(MarginalCourse(name, **fields))
        bench.show(write)
    bench.publish(write())


def _last_value(fields: Mapping[str, Any]) -> Mapping[str, float]:
    return {"objective": fields["values"][-1]}


def _write_marginal(courses: Sequence[MarginalCourse], config: Toader2023Config, output: Path) -> list[Path]:
    settings = config.marginal
    notes = [
        f"{settings.images:,} images of {config.small_box} pixels, radius {settings.radius:g}; "
        "19 rotations and 9 shifts around a pose with errors.",
        "Objective above the lowest value that any method reached, as a fraction of that at the start.",
        "passes: evaluations of single images, divided by the number of images, after the last of these epochs.",
    ]
    title, rows = f"{TITLE}: poses integrated over a neighbourhood", list_courses(courses, settings.epochs)
    return write_table(output / "marginal", Table(title, rows, [config.seed], notes))


def summarise(courses: Sequence[Course]) -> list[Row]:
    """A row a method: the published numbers and the measured ones, and both relative to plain stochastic gradients."""
    plain = courses[0]
    return [
        {
            "method": course.contender.name,
            "published gap": _known(course.contender.published_gap, ".1%"),
            "gap": f"{course.left:.3g}",
            "published times closer": _ratio(plain.contender.published_gap, course.contender.published_gap),
            "times closer": _ratio(plain.left, course.left),
            "published time": _ratio(course.contender.published_seconds, plain.contender.published_seconds),
            "time": _ratio(course.seconds_an_epoch, plain.seconds_an_epoch),
            "seconds an epoch": f"{course.seconds_an_epoch:.2f}",
            "seconds before": f"{course.seconds[0]:.2f}",
            "passes": f"{course.passes[-1]:.1f}",
        }
        for course in courses
    ]


def list_epochs(courses: Sequence[Course]) -> list[Row]:
    """A row a method and epoch."""
    return [
        {
            "method": course.contender.name,
            "epoch": epoch,
            "gap": f"{course.gaps[epoch]:.6g}",
            "seconds": f"{course.seconds[epoch]:.3f}",
            "passes": f"{course.passes[epoch]:.2f}",
        }
        for course in courses
        for epoch in range(EPOCHS + 1)
    ]


def list_shells(courses: Sequence[Course]) -> list[Row]:
    """A row a method, epoch and shell."""
    return [
        {
            "method": course.contender.name,
            "epoch": epoch,
            "shell": shell,
            "with the minimum": f"{float(with_minimum):.4f}",
            "with the truth": f"{float(with_truth):.4f}",
        }
        for course in courses
        for epoch in LOOKS
        for shell, (with_minimum, with_truth) in enumerate(zip(*course.correlations[epoch], strict=True))
    ]


def _notes(config: Toader2023Config) -> list[str]:
    return [
        f"{config.images:,} simulated images of {config.box} pixels of {FIELD_A / config.box:g} Å, "
        f"signal-to-noise ratio {SNR:g}, radius {config.radius:g}; {BATCHES} mini-batches per epoch, "
        f"{EPOCHS} epochs from noise.",
        "Published: 30,000 images of 192 pixels, double precision, on a GPU.",
        "gap: objective above its minimum, as a fraction of that at the start; times closer: gap of SGD over this gap.",
        "time: processor time per epoch over that of SGD; seconds before: processor time for the diagonal.",
        "passes: evaluations of single images (value and gradient, or Hessian product), divided by their number.",
    ]


def _known(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _ratio(over: float | None, under: float | None) -> str:
    return "" if over is None or under is None else f"{over / under:.3g}"
