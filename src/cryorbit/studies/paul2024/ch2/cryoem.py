"""Cryo-EM by chapter 2 of Paul (2024), section 2.4.2: an encoder for the density of views, a FourierNet for the volume.

Images of three truths, centred, from eight clusters of views, are summed up to first and second moments, which the
networks are fitted to: tables 2.2 and 2.3. The thesis' data come from a network fitted to the map; so do the rows
`network, own nodes`. The others are made from images of the map in poses that are drawn. The weight of the second
moment in the loss (2.17) is not published: errors of both moments are taken relative to the moments, as in chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryorbit.core.progress import Progress
from cryorbit.io.mrc import write_map
from cryorbit.studies.paul2024.moments.data import BOX, SIGMA, Truth, four_gaussians, kinase, ribosome
from cryorbit.studies.paul2024.moments.study import Case, Study, Way, schedule
from cryorbit.studies.registry import ReproduceConfig, choose_scale
from cryorbit.studies.tables import Row, write_table

RADIUS, ORDERS, PIXELS = 8, 11, 64
"""Radii that reach the published resolution of the kinase; images of 63 pixels are 64 here, where boxes are even."""
PUBLISHED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "protein kinase A": ("EMD-0409", "0.003", "0.013", "16.86", "0.043"),
        "ribosome": ("EMD-25892", "0.007", "0.035", "21.52", "0.076"),
        "four Gaussians": ("mixture of Gaussians", "0.007", "0.016", "4.45", "0.004"),
    }
)
"""Tables 2.2 and 2.3: volume, errors of first and second moment, resolution, A; and the error of the neural truth."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done: images of a data set, steps of a fit and of networks for truths, ways of making data, nodes."""

    images: int
    steps: int
    truth_steps: int
    ways: tuple[Way, ...]
    cheap: bool


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "quick": Scale(20_000, 100, 100, ("images",), cheap=True),
        "medium": Scale(100_000, 400, 400, ("images", "network, own nodes"), cheap=False),
        "full": Scale(1_000_000, 1500, 1000, ("images", "network, own nodes"), cheap=False),
    }
)


def run(config: ReproduceConfig, progress: Progress) -> list[Path]:
    """Invert the moments of every truth, and write the table and maps; returns the files.

    Raises
    ------
    Stopped
        The run was asked to stop; finished parts are kept.
    """
    scale = choose_scale(SCALES, config)
    study = Study(
        output=config.output,
        seed=config.seed,
        radius=RADIUS,
        orders=ORDERS,
        box=PIXELS,
        eta_most=0.0,
        images=scale.images,
        fit=schedule(scale.steps, config.seed),
        truth_fit=schedule(scale.truth_steps, config.seed),
        cheap=scale.cheap,
    )
    truths = [make(RADIUS) for make in (kinase, ribosome, four_gaussians)]
    cases = [Case(truth, 0.0, way) for truth in truths for way in scale.ways]
    outcomes = [(case, study.invert(case, "chapter 2", progress)) for case in cases]
    rows = [_row(case, outcome) for case, outcome in outcomes]
    files = write_table(config.output / "table_2_2_2_3", rows, "Paul 2024, tables 2.2 and 2.3", _notes(scale))
    for case, outcome in outcomes:
        name = case.title.lower().replace(",", "").replace(" ", "_")
        files.append(config.output / f"{name}.mrc")
        write_map(files[-1], outcome["map"].float(), case.truth.pixel_size)
    return files


def _row(case: Case, outcome: Mapping[str, Any]) -> Row:
    volume, first, second, resolution, error = PUBLISHED[case.truth.name]
    of_images = case.way != "images"
    return {
        "published for": volume,
        "measured for": case.truth.name,
        "data": case.way,
        "published first, second": f"{first}, {second}",
        "first moment": f"{outcome['first']:.4f}",
        "second moment": f"{outcome['second']:.4f}",
        "published resolution, A": resolution,
        "resolution, A": f"{outcome['resolution']:.2f}",
        "finest, A": f"{_finest(case.truth):.2f}",
        "correlation": f"{outcome['correlation']:.2f}",
        "published error of the network for the truth": error if of_images else "",
        "error of the network for the truth": f"{outcome['truth error']:.3f}" if of_images else "",
        "CPU seconds": f"{outcome['seconds']:.0f}",
    }


def _finest(truth: Truth) -> float:
    """Resolution of a map that is right up to the last radius, A."""
    return BOX * truth.pixel_size / RADIUS


def _notes(scale: Scale) -> list[str]:
    return [
        f"{scale.images:,} images of {PIXELS} pixels, noise {SIGMA:g} a pixel, maps of norm 1; {scale.steps:,} steps.",
        "Resolution: FSC of 0.5 against the true map after superposition, either hand. Structures and boxes differ.",
        f"Radii up to {RADIUS} Fourier pixels are matched, whose inverse is the finest resolution measured.",
        "Small errors of moments do not prove the map: at uniform in-plane angles they leave most of it open.",
    ]
