"""Conditioning and preconditioned stochastic gradients, Toader, Brubaker & Lederman (2025), on simulated images.

In three parts: condition numbers of known poses over radius and number of images; ten epochs of plain and
preconditioned methods from noise, against the exact minimum, which the paper approximates by a thousand iterations of
L-BFGS; and the same with poses integrated over a neighbourhood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryorbit.core.progress import Progress, Stopped
from cryorbit.studies.figures import save_png
from cryorbit.studies.kept import keep
from cryorbit.studies.registry import ReproduceConfig, choose_scale
from cryorbit.studies.tables import Row, write_table
from cryorbit.studies.toader2023.conditioning import (
    condition_numbers,
    list_probes,
    list_spectra,
    spectra,
)
from cryorbit.studies.toader2023.contenders import BATCHES, CONTENDERS
from cryorbit.studies.toader2023.courses import EPOCHS, LOOKS, Course, Optimum, pursue
from cryorbit.studies.toader2023.data import FIELD_A, SNR, simulate
from cryorbit.studies.toader2023.figures import draw_convergence, draw_correlations, draw_spectra
from cryorbit.studies.toader2023.marginal import compare, list_courses, methods, problem_with_errors
from cryorbit.volumes.fourier_ball import PAD

TITLE = "Toader, Brubaker & Lederman 2025"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done.

    Attributes
    ----------
    box, images, radius
        Of the comparison in known poses.
    radii, counts
        Of the condition numbers, at 64 pixels.
    marginal
        Images, radius and epochs of the comparison with poses integrated over, at 64 pixels.
    """

    box: int
    images: int
    radius: float
    radii: tuple[float, ...]
    counts: tuple[int, ...]
    marginal: tuple[int, float, int]


SMALL_BOX = 64
SCALES = {
    "quick": Scale(SMALL_BOX, 1500, 30.0, (6.0, 12.0), (100, 1500), (300, 12.0, 5)),
    "full": Scale(128, 1500, 60.0, (6.0, 12.0, 18.0), (100, 1600), (400, 16.0, 5)),
}


def run(config: ReproduceConfig, progress: Progress) -> Sequence[Path]:
    """Do the three parts, and write tables and figures of each when it is done; returns the files.

    Raises
    ------
    Stopped
        The run was asked to stop; what is written is of the parts that were done.
    """
    scale = choose_scale(SCALES, config)
    files = study_conditioning(scale, config.seed, config.output, progress)
    files += study_convergence(scale, config.seed, config.output, progress)
    return [*files, *study_marginal(scale, config.seed, config.output, progress)]


def study_conditioning(scale: Scale, seed: int, output: Path, progress: Progress) -> list[Path]:
    """Condition numbers."""
    progress.start(len(scale.radii) * len(scale.counts), "condition numbers")
    data = simulate(SMALL_BOX, max(scale.counts), max(scale.radii), seed)
    rows = condition_numbers(data, scale.radii, scale.counts, progress)
    notes = [
        f"{SMALL_BOX} pixels, regularisation 1e-8, trilinear interpolation without padding (factor {PAD}).",
        "bound, slices alone: every slice meets the origin, others are met by a part 3 / (4 radius) of the slices.",
        "bound, diagonal: largest over least diagonal entry, with CTF.",
        "unseen: coefficients no image sees; their eigenvalue is the regularisation.",
        "The paper's notebooks (192 pixels, 30,000 images): 6.1e6 with CTF, nearest neighbour; 1.8e6 trilinear.",
    ]
    return write_table(output / "conditioning", rows, f"{TITLE}: condition numbers", notes)


def study_convergence(scale: Scale, seed: int, output: Path, progress: Progress) -> list[Path]:
    """Ten epochs of every method in known poses."""
    progress.start(len(CONTENDERS), "known poses")
    data = simulate(scale.box, scale.images, scale.radius, seed)
    optimum = Optimum.of(data.problem(scale.images, scale.radius), data.density)
    measured = spectra(optimum, seed)
    files = write_table(output / "diagonal", list_spectra(measured), f"{TITLE}: the diagonal by shell")
    files += write_table(output / "probes", list_probes(measured.probes), f"{TITLE}: errors of Hutchinson's estimate")
    files.append(save_png(draw_spectra(measured), output / "spectra.png"))
    courses = []
    for contender in CONTENDERS:
        if progress.stop_requested():
            raise Stopped
        work = partial(pursue, contender, optimum, seed, progress)
        inputs = (contender.name, scale.box, scale.images, scale.radius, seed)
        courses.append(Course(contender, **keep(output, f"known poses {contender.name}", inputs, work)))
        progress.advance(gap=courses[-1].gaps[-1])
    files += write_table(output / "table", summarise(courses), f"{TITLE}: known poses", _notes(scale))
    files += write_table(output / "epochs", list_epochs(courses), f"{TITLE}: known poses, every epoch")
    files += write_table(output / "shells", list_shells(courses), f"{TITLE}: correlations by shell")
    files.append(save_png(draw_convergence(courses), output / "convergence.png"))
    files.append(save_png(draw_correlations(courses), output / "shells.png"))
    return files


def study_marginal(scale: Scale, seed: int, output: Path, progress: Progress) -> list[Path]:
    """The same with poses integrated over a neighbourhood."""
    images, radius, epochs = scale.marginal
    data = simulate(SMALL_BOX, images, radius, seed)
    problem = problem_with_errors(data, images, radius, seed)
    progress.start(len(methods(problem)), "poses integrated over")
    rows = list_courses(compare(problem, epochs, seed, progress), epochs)
    notes = [
        f"{images:,} images of {SMALL_BOX} pixels, radius {radius:g}; 19 rotations and 9 shifts about an erring pose.",
        "What is left of the objective above the least value found, as a part of that at the start.",
        "passes: evaluations of an image over the number of images, after the last of these epochs.",
    ]
    return write_table(output / "marginal", rows, f"{TITLE}: poses integrated over a neighbourhood", notes)


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


def _notes(scale: Scale) -> list[str]:
    return [
        f"{scale.images:,} simulated images of {scale.box} pixels of {FIELD_A / scale.box:g} A, signal-to-noise ratio "
        f"{SNR:g}, radius {scale.radius:g}; {BATCHES} mini-batches an epoch, {EPOCHS} epochs from noise.",
        "Published: 30,000 images of 192 pixels, double precision, on a GPU.",
        "gap: objective above its minimum, as a part of that at the start; times closer: the gap of SGD over this one.",
        "time: processor time an epoch over that of SGD; seconds before: to make the diagonal.",
        "passes: evaluations of an image (value and gradient, or Hessian product) over the number of images.",
    ]


def _known(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _ratio(over: float | None, under: float | None) -> str:
    return "" if over is None or under is None else f"{over / under:.3g}"
