"""The verb ``mra``: multireference alignment, the problem of one dimension on which methods are understood."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from cryorbit.cli.options import ConfigFile, Device, Output, Seed, Threads

if TYPE_CHECKING:
    from cryorbit.recipes.mra import SolveMRAConfig

mra = App(name="mra", help="Multireference alignment: a signal from noisy windows of shifted copies.")


@mra.command
def simulate(
    *,
    output: Output,
    count: Annotated[int | None, Parameter(name=["--count", "-n"], help="Observations. Default: 3000.")] = None,
    length: Annotated[int | None, Parameter(help="Samples of the signal. Default: 16.")] = None,
    window: Annotated[int | None, Parameter(help="Samples of an observation. Default: 12.")] = None,
    sigma: Annotated[float | None, Parameter(help="Standard deviation of the noise. Default: 0.2.")] = None,
    seed: Seed = None,
    config: ConfigFile = None,
) -> None:
    """Simulate observations of a Gaussian pulse; leaves observations.npz, with the truth in it."""
    from rich.console import Console

    from cryorbit.recipes.config import load_config
    from cryorbit.recipes.mra import SimulateMRAConfig
    from cryorbit.recipes.mra import simulate as run

    given = {"output": output, "count": count, "length": length, "window": window, "sigma": sigma, "seed": seed}
    file = run(load_config(SimulateMRAConfig, config, given))
    Console().print(f"wrote {file}", markup=False, highlight=False, soft_wrap=True)


@mra.command
def solve(
    observations: Annotated[Path, Parameter(help="File of observations (.npz).")],
    *,
    output: Output,
    method: Annotated[
        str | None, Parameter(help="Optimiser by name, or module:Class. Default: sem-vr-quasi-newton.")
    ] = None,
    passes: Annotated[
        float | None, Parameter(help="Cost-weighted epochs after which to give up. Default: 2000.")
    ] = None,
    tolerance: Annotated[
        float | None, Parameter(help="Difference of the objective between epochs to stop at. Default: 1e-12.")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Find the signal and the density of shifts; leaves solution.npz, trace.csv and job.json."""
    from cryorbit.cli.devices import choose_device, limit_threads
    from cryorbit.recipes.config import load_config
    from cryorbit.recipes.mra import SolveMRAConfig

    limit_threads(threads)
    given = {
        "observations": observations.absolute(),
        "output": output.absolute(),
        "method": method,
        "passes": passes,
        "tolerance": tolerance,
        "seed": seed,
        "device": choose_device(device),
        "threads": threads,
    }
    _work(load_config(SolveMRAConfig, config, given))


def _work(settings: SolveMRAConfig) -> None:
    """Solve in a job folder with progress on stderr, and print the numbers."""
    from rich.console import Console

    from cryorbit.cli.console import watch
    from cryorbit.cli.interrupts import stop_on_interrupt
    from cryorbit.cli.jobs import EXIT_STOPPED
    from cryorbit.core.progress import Stopped
    from cryorbit.io.job_folder import JobFolder
    from cryorbit.io.job_run import running
    from cryorbit.recipes.mra import solve as run

    record = settings.model_dump(mode="json")
    job = JobFolder.create(settings.output, verb="mra solve", config=record, inputs=[settings.observations])
    console = Console(stderr=True)
    try:
        with running(job), stop_on_interrupt(console) as stop, watch(console, stop) as progress:
            result = run(settings, progress)
            job.record(result=result.as_record())
    except (Stopped, KeyboardInterrupt):
        console.print("stopped; the folder holds no solution", markup=False)
        sys.exit(EXIT_STOPPED)
    for name, value in result.as_record().items():
        Console().print(f"{name:<16}{value}", markup=False, highlight=False, soft_wrap=True)
