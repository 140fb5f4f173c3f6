"""MoM-net, chapter 3 of Paul (2024): its supervised phase (table 3.1) and images off the centre (table 3.2).

The encoder is trained on random structures of twenty atoms, then shown the moments of two real structures (section
3.4.1). Then images of a kinase, centred or shifted by a normal spread of 2 or 4 pixels of 46, are inverted by MoM-net
and by the framework of chapter 2, which takes them as centred (section 3.4.2), and centred ones by MoM-net from its
trained encoder too (figure 3.7). A spread of 4 pixels of 46 is one of 1.33 pixels of 15, where training ends.

The thesis' data come from a network fitted to the map; so do the rows `network, own nodes`. The others are made from
images of the map in poses that are drawn. Structures, clusters of views, the degree of the Bessel volumes and many
sizes of networks are not published; what is taken stands in `mom_net.image_examples` and the modules of `moments`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor

from cryorbit.core.progress import Progress
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import write_map
from cryorbit.recipes.pipeline.stage import Stage
from cryorbit.studies.bench import Bench
from cryorbit.studies.figures import save_png
from cryorbit.studies.paul2024.ch3 import training
from cryorbit.studies.paul2024.ch3.config import Chapter3Config
from cryorbit.studies.paul2024.ch3.training import ENCODER_FILE, SuperviseConfig, SuperviseResult
from cryorbit.studies.paul2024.moments.data import SIGMA, Truth, kinase, ribosome
from cryorbit.studies.paul2024.moments.figures import draw_losses
from cryorbit.studies.paul2024.moments.study import Case, Framework, Study, schedule
from cryorbit.studies.result import StudyResult
from cryorbit.studies.tables import Row, Table, write_table

FRAMEWORKS: tuple[Framework, ...] = ("MoM-net", "chapter 2")
PREDICTED: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {"protein kinase A": ("EMD-0409", "0.094", "74.27"), "ribosome": ("EMD-25892", "0.068", "88.44")}
)
"""Table 3.1: structure of the thesis, Kam loss and resolution, A."""
PUBLISHED_TEST = "0.056"
RECONSTRUCTED: Mapping[tuple[float, Framework], str] = MappingProxyType(
    {
        (0.0, "MoM-net"): "0.012",
        (2.0, "MoM-net"): "0.008",
        (4.0, "MoM-net"): "0.007",
        (0.0, "chapter 2"): "0.013",
        (2.0, "chapter 2"): "0.014",
        (4.0, "chapter 2"): "0.017",
    }
)
"""Table 3.2: Kam loss by spread of shifts and framework."""


Outcomes: TypeAlias = dict[tuple[Case, Framework], Mapping[str, Any]]


def run(config: Chapter3Config, job: JobFolder, progress: Progress) -> StudyResult:
    """Train, predict, invert, and write tables, maps and the figure.

    Raises
    ------
    Stopped
        The job was asked to stop; finished parts are kept, and the training goes on from its checkpoint.
    """
    bench = Bench(job, progress)
    trained, encoder = _train(config, bench)
    study, truth = _study(config, bench), kinase(config.radius)
    predictions = [
        (each, study.encoder_alone(Case(each, 0.0, "images"), encoder)) for each in (truth, ribosome(config.radius))
    ]
    rows, notes = list(_predicted_rows(predictions)), _trained_notes(trained, config)
    bench.publish(write_table(bench.folder / "table_3_1", Table("Paul 2024, table 3.1", rows, [config.seed], notes)))
    outcomes = _study_shifts(config, study, truth)
    first = Case(truth, config.etas[0], config.ways[0])
    courses = {
        "random start": outcomes[first, "MoM-net"]["losses"],
        "trained encoder": study.invert(first, "MoM-net", encoder)["losses"],
    }
    bench.publish([save_png(draw_losses(courses), bench.folder / "figure_3_7.png", [config.seed])])
    return bench.result


def _study_shifts(config: Chapter3Config, study: Study, truth: Truth) -> Outcomes:
    """Table 3.2 and its maps: images with every spread of shifts, inverted by both frameworks."""
    outcomes: Outcomes = {}
    write = partial(_write_outcomes, outcomes, config, study.bench.folder)
    for case in [Case(truth, eta, way) for way in config.ways for eta in config.etas]:
        for name in FRAMEWORKS:
            outcomes[case, name] = study.invert(case, name)
            study.bench.show(write)
    study.bench.publish(write())
    return outcomes


def _write_outcomes(outcomes: Outcomes, config: Chapter3Config, output: Path) -> list[Path]:
    rows = [_row(case, name, outcome) for (case, name), outcome in outcomes.items()]
    files = write_table(output / "table_3_2", Table("Paul 2024, table 3.2", rows, [config.seed], _notes(config)))
    return [*files, *(_write_map(output, case, name, each["map"]) for (case, name), each in outcomes.items())]


def _train(config: Chapter3Config, bench: Bench) -> tuple[SuperviseResult, Mapping[str, Tensor]]:
    """Errors of the supervised phase and the encoder's weights; the training itself unless it is done."""
    settings = SuperviseConfig(
        radius=config.radius,
        orders=config.orders,
        box=config.box,
        eta_most=config.eta_most,
        cheap=config.cheap,
        seed=config.seed,
        **config.training.model_dump(),
    )
    folder = bench.folder / "supervised"
    stage = Stage("supervised phase", "reproduce", folder, settings, training.run, SuperviseResult, ())
    return bench.work_on(stage), torch.load(folder / ENCODER_FILE, weights_only=True)


def _study(config: Chapter3Config, bench: Bench) -> Study:
    return Study(
        bench=bench,
        seed=config.seed,
        radius=config.radius,
        orders=config.orders,
        box=config.box,
        eta_most=config.eta_most,
        images=config.images,
        fit=schedule(config.fit_steps, config.seed, config.fit_rate),
        truth_fit=schedule(config.truth_steps, config.seed),
        cheap=config.cheap,
    )


def _predicted_rows(predictions: Sequence[tuple[Truth, Mapping[str, Any]]]) -> Iterator[Row]:
    for truth, predicted in predictions:
        structure, loss, resolution = PREDICTED[truth.name]
        yield {
            "published for": structure,
            "published Kam loss": loss,
            "published resolution, Å": resolution,
            "measured for": truth.name,
            "Kam loss": f"{predicted['first'] + predicted['second']:.3f}",
            "resolution, Å": f"{predicted['resolution']:.2f}",
            "correlation": f"{predicted['correlation']:.2f}",
        }


def _row(case: Case, name: Framework, outcome: Mapping[str, Any]) -> Row:
    return {
        "eta": f"{case.eta:g}",
        "data": case.way,
        "framework": name,
        "published Kam loss": RECONSTRUCTED.get((case.eta, name), ""),
        "Kam loss": f"{outcome['first'] + outcome['second']:.3f}",
        "first moment": f"{outcome['first']:.4f}",
        "second moment": f"{outcome['second']:.4f}",
        "eta found": f"{outcome['eta']:.2f}" if name == "MoM-net" else "",
        "resolution, Å": f"{outcome['resolution']:.2f}",
        "correlation": f"{outcome['correlation']:.2f}",
        "error of the network for the truth": f"{outcome['truth error']:.3f}" if outcome["truth error"] else "",
        "CPU seconds": f"{outcome['seconds']:.0f}",
    }


def _write_map(output: Path, case: Case, name: Framework, volume: Tensor) -> Path:
    """The map of a fit, in its own pose and hand, which moments do not determine."""
    parts = (name, case.way, f"eta {case.eta:g}")
    file = output / ("_".join(part.lower().replace(",", "").replace(" ", "_") for part in parts) + ".mrc")
    write_map(file, volume.float(), case.truth.pixel_size)
    return file


def _trained_notes(trained: SuperviseResult, config: Chapter3Config) -> list[str]:
    return [
        f"Supervised phase: Kam loss {trained.train:.3f} in training, {trained.test:.3f} in the test "
        f"(published {PUBLISHED_TEST}); mean error of the spread of shifts {trained.spread:.2f} "
        f"pixels of {config.box}.",
        "Each row: prediction of the encoder alone from moments of images of a structure unlike those of the training.",
        "Resolution: FSC of 0.5 against the true map after superposition, either hand.",
    ]


def _notes(config: Chapter3Config) -> list[str]:
    return [
        f"{config.images:,} images of {config.box} pixels, noise {SIGMA:g} per pixel, map of norm 1; "
        f"{config.fit_steps:,} steps.",
        "Kam loss: sum of the relative errors of first and second moments (equation 3.13), in polar form.",
        f"Radii up to {config.radius} Fourier pixels are matched: no resolution finer than their inverse can "
        "be measured.",
        "A small Kam loss does not prove the map: with uniform in-plane angles two moments leave most of it open.",
    ]
