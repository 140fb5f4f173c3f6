"""The verb ``simulate``: particle images of known maps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from cryorbit.cli.options import ConfigFile, Device, Output, Seed, Threads

if TYPE_CHECKING:
    from cryorbit.recipes.simulate import SimulateConfig


def simulate(
    maps: Annotated[list[Path], Parameter(help="Maps (MRC) of one box and voxel size, one per class.", negative="")],
    *,
    output: Output,
    count: Annotated[int | None, Parameter(name=["--count", "-n"], help="Number of particles. Default: 1000.")] = None,
    snr: Annotated[
        float | None,
        Parameter(help="Signal-to-noise ratio: variance of the signal over variance of the noise. Default: 0.1."),
    ] = None,
    fractions: Annotated[
        tuple[float, ...] | None,
        Parameter(help="Fractions of the classes. Default: equal.", negative="", consume_multiple=True),
    ] = None,
    junk: Annotated[float | None, Parameter(help="Fraction of images of pure noise. Default: 0.")] = None,
    noise: Annotated[Literal["white", "coloured"] | None, Parameter(help="Noise spectrum. Default: white.")] = None,
    shift_sigma: Annotated[
        float | None, Parameter(help="Standard deviation of the shifts, pixels. Default: 2.")
    ] = None,
    invert_contrast: Annotated[
        bool | None, Parameter(negative="", help="Make the protein dark, as in micrographs. Default: white.")
    ] = None,
    poses_from: Annotated[
        Path | None, Parameter(help="STAR or .cs file whose angles are sampled. Default: uniform.")
    ] = None,
    ctf_from: Annotated[
        Path | None, Parameter(help="STAR or .cs file whose CTF parameters are sampled. Default: drawn.")
    ] = None,
    defocus_range: Annotated[
        tuple[float, float] | None, Parameter(help="Lowest and highest defocus, µm. Default: 1.0 2.5.", negative="")
    ] = None,
    voltage: Annotated[float | None, Parameter(help="Acceleration voltage, kV. Default: 300.")] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Simulate particle images of known maps, and write their true poses beside them.

    Writes particles.star (without poses) and particles.mrcs, truth.star, and truth_1.mrc, ... at that scale.
    """
    from cryorbit.api.devices import limit_threads
    from cryorbit.api.tools import plan_simulation

    defocus = None if defocus_range is None else tuple(1e4 * value for value in defocus_range)
    optics = {"voltage": voltage, "defocus_range": defocus}
    settings = {
        "maps": maps,
        "output": output,
        "count": count,
        "snr": snr,
        "fractions": fractions,
        "junk": junk,
        "noise": noise,
        "shift_sigma": shift_sigma,
        "invert_contrast": invert_contrast,
        "poses_from": poses_from,
        "ctf_from": ctf_from,
        "microscope": {key: value for key, value in optics.items() if value is not None} or None,
        "seed": seed,
        "device": device,
    }
    limit_threads(threads)
    _work(plan_simulation(settings, config))


def _work(settings: SimulateConfig) -> None:
    """Simulate into a job folder with progress on stderr, and print where things are."""
    from rich.console import Console

    from cryorbit.api.interrupts import stop_on_interrupt
    from cryorbit.api.tools import simulate_into
    from cryorbit.cli.job_work import EXIT_STOPPED, shown_progress
    from cryorbit.cli.voice import voice
    from cryorbit.core.progress import Stopped

    console = voice().console()
    try:
        with stop_on_interrupt(console) as stop, shown_progress(console, stop) as progress:
            result = simulate_into(settings, progress)
    except (Stopped, KeyboardInterrupt):
        console.print("stopped; the folder holds no images", markup=False)
        sys.exit(EXIT_STOPPED)
    for name, path in (
        ("particles", result.particles),
        ("truth", result.truth),
        *(("map", each) for each in result.maps),
    ):
        Console().print(f"{name:<10}{path}", markup=False, highlight=False, soft_wrap=True)
