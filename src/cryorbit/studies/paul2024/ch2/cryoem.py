"""Cryo-EM by chapter 2 of Paul (2024), section 2.4.2: an encoder for the density of views, a FourierNet for the volume.

Images of three truths, centred, from eight clusters of views, are summed up to first and second moments, which the
networks are fitted to: tables 2.2 and 2.3. The thesis' data come from a network fitted to the map; so do the rows
`network, own nodes`. The others are made from images of the map in poses that are drawn. The weight of the second
moment in the loss (2.17) is not published: errors of both moments are taken relative to the moments, as in chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryorbit.io.mrc import write_map
from cryorbit.studies.bench import Bench
from cryorbit.studies.paul2024.ch2.config import Chapter2Config, CryoEMSettings
from cryorbit.studies.paul2024.moments.data import BOX, SIGMA, Truth, four_gaussians, kinase, ribosome
from cryorbit.studies.paul2024.moments.study import Case, Study, schedule
from cryorbit.studies.tables import Row, Table, write_table

PUBLISHED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "protein kinase A": ("EMD-0409", "0.003", "0.013", "16.86", "0.043"),
        "ribosome": ("EMD-25892", "0.007", "0.035", "21.52", "0.076"),
        "four Gaussians": ("mixture of Gaussians", "0.007", "0.016", "4.45", "0.004"),
    }
)
"""Tables 2.2 and 2.3: volume, errors of first and second moment, resolution, A; and the error of the neural truth."""


def run(config: Chapter2Config, bench: Bench) -> None:
    """Invert the moments of every truth, and write the table and maps; ``Stopped`` if the job was asked to stop."""
    settings, study = config.cryoem, _study(config, bench)
    truths = [make(settings.radius) for make in (kinase, ribosome, four_gaussians)]
    cases = [Case(truth, 0.0, way) for truth in truths for way in settings.ways]
    outcomes: list[tuple[Case, Mapping[str, Any]]] = []
    write = partial(_write_outcomes, outcomes, config, bench.folder)
    for case in cases:
        outcomes.append((case, study.invert(case, "chapter 2")))
        bench.show(write)
    bench.publish(write())


def _study(config: Chapter2Config, bench: Bench) -> Study:
    settings = config.cryoem
    return Study(
        bench=bench,
        seed=config.seed,
        radius=settings.radius,
        orders=settings.orders,
        box=settings.box,
        eta_most=0.0,
        images=settings.images,
        fit=schedule(settings.steps, config.seed, settings.rate),
        truth_fit=schedule(settings.truth_steps, config.seed),
        cheap=settings.cheap,
    )


def _write_outcomes(
    outcomes: Sequence[tuple[Case, Mapping[str, Any]]], config: Chapter2Config, output: Path
) -> list[Path]:
    rows = [_row(case, outcome, config.cryoem.radius) for case, outcome in outcomes]
    table = Table("Paul 2024, tables 2.2 and 2.3", rows, [config.seed], _notes(config.cryoem))
    files = write_table(output / "table_2_2_2_3", table)
    for case, outcome in outcomes:
        name = case.title.lower().replace(",", "").replace(" ", "_")
        files.append(output / f"{name}.mrc")
        write_map(files[-1], outcome["map"].float(), case.truth.pixel_size)
    return files


def _row(case: Case, outcome: Mapping[str, Any], radius: int) -> Row:
    volume, first, second, resolution, error = PUBLISHED[case.truth.name]
    of_images = case.way != "images"
    return {
        "published for": volume,
        "measured for": case.truth.name,
        "data": case.way,
        "published first, second": f"{first}, {second}",
        "first moment": f"{outcome['first']:.4f}",
        "second moment": f"{outcome['second']:.4f}",
        "published resolution, Å": resolution,
        "resolution, Å": f"{outcome['resolution']:.2f}",
        "finest, Å": f"{_finest(case.truth, radius):.2f}",
        "correlation": f"{outcome['correlation']:.2f}",
        "published error of the network for the truth": error if of_images else "",
        "error of the network for the truth": f"{outcome['truth error']:.3f}" if of_images else "",
        "CPU seconds": f"{outcome['seconds']:.0f}",
    }


def _finest(truth: Truth, radius: int) -> float:
    """Resolution of a map that is right up to the last radius, A."""
    return BOX * truth.pixel_size / radius


def _notes(settings: CryoEMSettings) -> list[str]:
    return [
        f"{settings.images:,} images of {settings.box} pixels, noise {SIGMA:g} per pixel, maps of norm 1; "
        f"{settings.steps:,} steps.",
        "Resolution: FSC of 0.5 against the true map after superposition, either hand. Structures and boxes differ.",
        f"Radii up to {settings.radius} Fourier pixels are matched; the inverse of the largest is the finest "
        "resolution that can be measured.",
        "Small errors of moments do not prove the map: with uniform in-plane angles they leave most of it open.",
    ]
