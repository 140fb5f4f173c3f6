"""The verb ``inspect``: a particle set checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from cryorbit.cli.options import Ctf, DataDir, ParticleFile, Premultiplied, Seed, Subset, Threads

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor

    from cryorbit.recipes.inspect import Inspection

EXIT_UNFIT = 1


def inspect(
    particles: ParticleFile,
    *,
    output: Annotated[
        Path | None,
        Parameter(name=["--output", "-o"], help="Folder for report.html and inspection.json. Default: none."),
    ] = None,
    data_dir: DataDir = None,
    passthrough: Annotated[
        Path | None, Parameter(help="Passthrough file of a .cs file. Default: detected beside it.")
    ] = None,
    subset: Subset = None,
    sample: Annotated[
        int, Parameter(help="Largest number of images that are read.", validator=validators.Number(gte=1))
    ] = 2000,
    ctf: Ctf = None,
    premultiplied: Premultiplied = None,
    seed: Seed = None,
    threads: Threads = None,
) -> None:
    """Check a particle set before any reconstruction: files, optics, contrast, noise, diameter.

    Takes seconds: it reads a sample of the images. The exit code is 1 if a reconstruction would refuse the particles.
    """
    from rich.console import Console

    from cryorbit.api.devices import limit_threads
    from cryorbit.recipes.config import load_config
    from cryorbit.recipes.inspect import InspectConfig, run

    limit_threads(threads)
    if output is not None:
        from cryorbit.report.inspection_page import refuse_used_folder, write_inspection

        refuse_used_folder(output)
    files = {"particles": particles, "data_dir": data_dir, "passthrough": passthrough}
    settings = {**files, "subset": subset, "sample": sample, "seed": seed, "ctf": ctf, "premultiplied": premultiplied}
    inspection = run(load_config(InspectConfig, None, settings))
    console = Console()
    console.print(_facts(inspection))
    for warning in inspection.warnings():
        console.print(f"  - {warning}", markup=False, highlight=False, soft_wrap=True)
    if output is not None:
        page = write_inspection(output, inspection)
        console.print(f"report    {page}", markup=False, highlight=False, soft_wrap=True)
    if not inspection.fit:
        Console(stderr=True).print("These particles are not ready for reconstruction.", style="bold red")
        sys.exit(EXIT_UNFIT)
    without = ", but not with these poses" if inspection.pose_problem is not None else ""
    console.print(f"These particles are ready for reconstruction{without}.", style="bold green")


def _finite(values: Tensor) -> Tensor:
    """Without those that the table does not state."""
    return values[values.isfinite()]


def _facts(inspection: Inspection) -> Table:
    """Two columns: what, and how much."""
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    mean, astigmatism = _finite(inspection.defocus.mean) * 1e-4, _finite(inspection.defocus.astigmatism)
    table.add_row(
        "particles", f"{len(inspection):,} in {inspection.files:,} image file{'' if inspection.files == 1 else 's'}"
    )
    side, pixel = inspection.box, inspection.pixel_size
    box = f"{side} px, {side * pixel:.0f} Å" if side else "unknown: the image files are missing"
    table.add_row("box", box)
    table.add_row("pixel size", f"{pixel:.4g} Å; finest resolution {2 * pixel:.3g} Å")
    for group in inspection.optics.itertuples():
        microscope = f"{group.voltage_kV:g} kV, Cs {group.cs_mm:g} mm, amplitude contrast {group.amplitude_contrast:g}"
        table.add_row(f"optics group {group.group}", f"{microscope}: {group.particles:,} particles")
    if len(mean):
        table.add_row("defocus", f"{mean.min():.2f} to {mean.max():.2f} µm, median {mean.median():.2f} µm")
    if len(astigmatism):
        table.add_row("astigmatism", f"median {astigmatism.median():.0f} Å, largest {astigmatism.max():.0f} Å")
    table.add_row("outliers", f"{int(inspection.defocus.outliers.sum()):,} in defocus or astigmatism")
    without = f"; {len(inspection.unaligned):,} without" if inspection.unaligned else ""
    table.add_row("poses", f"yes{without}" if inspection.posed else "no")
    if inspection.premultiplied:
        table.add_row("CTF", "the images were multiplied by it")
    images = inspection.images
    if images is not None:
        table.add_row("contrast", images.contrast_sentence)
        table.add_row("normalisation", images.normalisation_sentence)
        table.add_row(
            "diameter", "unknown" if images.diameter is None else f"{images.diameter:.0f} Å, {images.diameter_evidence}"
        )
        table.add_row("signal to noise", f"{images.snr:.2g} (variances, whole box), from {len(images.rows):,} images")
    return table
