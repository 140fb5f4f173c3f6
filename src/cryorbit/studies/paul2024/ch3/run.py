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
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from cryorbit.core.progress import Progress
from cryorbit.io.mrc import write_map
from cryorbit.recipes.pipeline.stage import Stage, work_on
from cryorbit.studies.figures import save_png
from cryorbit.studies.paul2024.ch3 import training
from cryorbit.studies.paul2024.ch3.training import ENCODER_FILE, SuperviseConfig, SuperviseResult
from cryorbit.studies.paul2024.moments.data import SIGMA, Truth, kinase, ribosome
from cryorbit.studies.paul2024.moments.figures import draw_losses
from cryorbit.studies.paul2024.moments.study import Case, Framework, Study, Way, schedule
from cryorbit.studies.registry import ReproduceConfig, choose_scale
from cryorbit.studies.tables import Row, write_table

RADIUS, ORDERS, BOX, ETA_MOST = 7, 10, 46, 4.0
"""Radii are those of 15 x 15 pixels; images of 45 pixels are 46 here, where boxes are even."""
ATOMS = 20
ETAS = (0.0, 2.0, 4.0)
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


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done.

    Attributes
    ----------
    steps, batch, tested
        Steps of the supervised phase, data sets in each, and in its test.
    images
        Of a data set.
    fit_steps, truth_steps
        Steps of every fit to moments, and of the thesis' networks to the map.
    ways
        How data are made.
    cheap
        Fewer nodes than the thesis has.
    """

    steps: int
    batch: int
    tested: int
    images: int
    fit_steps: int
    truth_steps: int
    ways: tuple[Way, ...]
    cheap: bool


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "quick": Scale(300, 32, 500, 20_000, 100, 100, ("images",), cheap=True),
        "medium": Scale(2000, 64, 5000, 100_000, 400, 400, ("images", "network, own nodes"), cheap=False),
        "full": Scale(6000, 64, 13_000, 500_000, 800, 1000, ("images", "network, own nodes"), cheap=False),
    }
)


def run(config: ReproduceConfig, progress: Progress) -> Sequence[Path]:
    """Train, predict, invert, and write tables, maps and the figure; returns the files.

    Given the same folder again, finished parts are kept and the training goes on from its checkpoint.

    Raises
    ------
    Stopped
        The run was asked to stop.
    """
    scale = choose_scale(SCALES, config)
    trained, encoder = _train(config, scale, progress)
    study = _study(config, scale)
    predictions = [(truth, _predict(study, truth, encoder, progress)) for truth in (kinase(RADIUS), ribosome(RADIUS))]
    files = write_table(
        config.output / "table_3_1", list(_predicted_rows(predictions)), "Paul 2024, table 3.1", _trained_notes(trained)
    )
    truth = predictions[0][0]
    cases = [Case(truth, eta, way) for way in scale.ways for eta in ETAS]
    outcomes = {(case, name): study.invert(case, name, progress) for case in cases for name in FRAMEWORKS}
    rows = [_row(case, name, outcome) for (case, name), outcome in outcomes.items()]
    files += write_table(config.output / "table_3_2", rows, "Paul 2024, table 3.2", _notes(scale))
    for (case, name), outcome in outcomes.items():
        files.append(_write_map(config.output, case, name, outcome["map"]))
    courses = {
        "random start": outcomes[cases[0], "MoM-net"]["losses"],
        "trained encoder": study.invert(cases[0], "MoM-net", progress, encoder)["losses"],
    }
    files.append(save_png(draw_losses(courses), config.output / "figure_3_7.png"))
    return files


def _train(config: ReproduceConfig, scale: Scale, progress: Progress) -> tuple[SuperviseResult, Mapping[str, Tensor]]:
    """Errors of the supervised phase and the encoder's weights; the training itself unless it is done."""
    settings = SuperviseConfig(
        radius=RADIUS,
        orders=ORDERS,
        box=BOX,
        eta_most=ETA_MOST,
        cheap=scale.cheap,
        atoms=ATOMS,
        steps=scale.steps,
        batch=scale.batch,
        test_count=scale.tested,
        seed=config.seed,
    )
    folder = config.output / "supervised"
    stage = Stage("supervised phase", "reproduce", folder, settings, training.run, SuperviseResult, ())
    return work_on(stage, progress), torch.load(folder / ENCODER_FILE, weights_only=True)


def _study(config: ReproduceConfig, scale: Scale) -> Study:
    return Study(
        output=config.output,
        seed=config.seed,
        radius=RADIUS,
        orders=ORDERS,
        box=BOX,
        eta_most=ETA_MOST,
        images=scale.images,
        fit=schedule(scale.fit_steps, config.seed),
        truth_fit=schedule(scale.truth_steps, config.seed),
        cheap=scale.cheap,
    )


def _predict(study: Study, truth: Truth, encoder: Mapping[str, Tensor], progress: Progress) -> Mapping[str, Any]:
    return study.encoder_alone(Case(truth, 0.0, "images"), progress, encoder)


def _predicted_rows(predictions: Sequence[tuple[Truth, Mapping[str, Any]]]) -> Iterator[Row]:
    for truth, predicted in predictions:
        structure, loss, resolution = PREDICTED[truth.name]
        yield {
            "published for": structure,
            "published Kam loss": loss,
            "published resolution, A": resolution,
            "measured for": truth.name,
            "Kam loss": f"{predicted['first'] + predicted['second']:.3f}",
            "resolution, A": f"{predicted['resolution']:.2f}",
            "correlation": f"{predicted['correlation']:.2f}",
        }


def _row(case: Case, name: Framework, outcome: Mapping[str, Any]) -> Row:
    return {
        "eta": f"{case.eta:g}",
        "data": case.way,
        "framework": name,
        "published Kam loss": RECONSTRUCTED[case.eta, name],
        "Kam loss": f"{outcome['first'] + outcome['second']:.3f}",
        "first moment": f"{outcome['first']:.4f}",
        "second moment": f"{outcome['second']:.4f}",
        "eta found": f"{outcome['eta']:.2f}" if name == "MoM-net" else "",
        "resolution, A": f"{outcome['resolution']:.2f}",
        "correlation": f"{outcome['correlation']:.2f}",
        "error of the network for the truth": f"{outcome['truth error']:.3f}" if outcome["truth error"] else "",
        "CPU seconds": f"{outcome['seconds']:.0f}",
    }


def _write_map(output: Path, case: Case, name: Framework, volume: Tensor) -> Path:
    """The map of a fit, in its own pose and hand, which moments do not tell."""
    parts = (name, case.way, f"eta {case.eta:g}")
    file = output / ("_".join(part.lower().replace(",", "").replace(" ", "_") for part in parts) + ".mrc")
    write_map(file, volume.float(), case.truth.pixel_size)
    return file


def _trained_notes(trained: SuperviseResult) -> list[str]:
    return [
        f"Supervised phase: Kam loss {trained.train:.3f} in training, {trained.test:.3f} in the test "
        f"(published {PUBLISHED_TEST}); mean error of the spread of shifts {trained.spread:.2f} pixels of {BOX}.",
        "Rows: what the encoder alone makes of moments of images of a structure unlike those of the training.",
        "Resolution: FSC of 0.5 against the true map after superposition, either hand.",
    ]


def _notes(scale: Scale) -> list[str]:
    return [
        f"{scale.images:,} images of {BOX} pixels, noise {SIGMA:g} a pixel, map of norm 1; {scale.fit_steps:,} steps.",
        "Kam loss: sum of the relative errors of first and second moments (equation 3.13), in polar form.",
        f"Radii up to {RADIUS} Fourier pixels are matched: no resolution finer than their inverse can be measured.",
        "A small Kam loss does not prove the map: two moments at uniform in-plane angles leave most of it open.",
    ]
