"""The verb ``mra``: multireference alignment, a one-dimensional model problem."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from cryorbit.cli.options import ConfigFile, Device, Output, Seed, Threads, Trust

mra = App(name="mra", help="Multireference alignment: a signal from noisy windows of shifted copies.")


@mra.command
def simulate(
    *,
    output: Output,
    count: Annotated[
        int | None, Parameter(name=["--count", "-n"], help="Number of observations. Default: 3000.")
    ] = None,
    length: Annotated[int | None, Parameter(help="Length of the signal, samples. Default: 16.")] = None,
    window: Annotated[int | None, Parameter(help="Length of an observation, samples. Default: 12.")] = None,
    sigma: Annotated[float | None, Parameter(help="Standard deviation of the noise. Default: 0.2.")] = None,
    seed: Seed = None,
    config: ConfigFile = None,
) -> None:
    """Simulate observations of a Gaussian pulse; writes observations.npz, which also holds the truth."""
    from rich.console import Console

    from cryorbit.recipes.config import load_config
    from cryorbit.recipes.mra import SimulateMRAConfig
    from cryorbit.recipes.mra import simulate as run

    settings = {"output": output, "count": count, "length": length, "window": window, "sigma": sigma, "seed": seed}
    file = run(load_config(SimulateMRAConfig, config, settings))
    Console().print(f"wrote {file}", markup=False, highlight=False, soft_wrap=True)


@mra.command
def solve(
    observations: Annotated[Path, Parameter(help="File of observations (.npz).")],
    *,
    output: Output,
    method: Annotated[
        str | None, Parameter(help="Optimiser by name, or module:Class. Default: sem-vr-quasi-newton.")
    ] = None,
    passes: Annotated[float | None, Parameter(help="Largest number of cost-weighted epochs. Default: 2000.")] = None,
    tolerance: Annotated[
        float | None,
        Parameter(help="Difference of the objective between epochs below which the job stops. Default: 1e-12."),
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    device: Device = None,
    threads: Threads = None,
    trust: Trust = False,
) -> None:
    """Find the signal and the density of shifts; writes a job folder with solution.npz, trace.csv and report.html."""
    from cryorbit.cli.job_work import start
    from cryorbit.recipes.mra_solve import SolveMRAResult

    settings = {
        "observations": observations,
        "output": output,
        "method": method,
        "passes": passes,
        "tolerance": tolerance,
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    start("mra solve", settings, config, trust=trust)
    _print_result(output, SolveMRAResult)


@mra.command
def moments(
    observations: Annotated[Path, Parameter(help="File of observations (.npz).")],
    *,
    output: Output,
    starts: Annotated[
        int | None, Parameter(help="Number of random starts in addition to the spectral one. Default: 8.")
    ] = None,
    encoders: Annotated[
        Path | None, Parameter(help="Folder of `cryorbit mra train`, for one more start. Default: none.")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Find the signal and the density of shifts from moments alone; writes moments.npz and solution.npz."""
    from cryorbit.cli.job_work import start
    from cryorbit.recipes.mra_moments import MomentsMRAResult

    settings = {
        "observations": observations,
        "output": output,
        "starts": starts,
        "encoders": encoders,
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    start("mra moments", settings, config)
    _print_result(output, MomentsMRAResult)


@mra.command
def train(
    *,
    output: Output,
    components: Annotated[
        int | None, Parameter(help="Number of Gaussians in signals and in densities. Default: 2.")
    ] = None,
    length: Annotated[int | None, Parameter(help="Length of the signal, samples. Default: 32.")] = None,
    architecture: Annotated[
        str | None, Parameter(help="Architecture of the encoders, equivariant or appendix. Default: equivariant.")
    ] = None,
    steps: Annotated[int | None, Parameter(help="Training steps of each encoder. Default: 25,000.")] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Train the encoders that `cryorbit mra moments` can start from; writes encoders.pt in a job folder."""
    from cryorbit.cli.job_work import start

    settings = {
        "output": output,
        "components": components,
        "length": length,
        "architecture": architecture,
        "steps": steps,
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    start("mra train", settings, config)


def _print_result(output: Path, kind: type[Any]) -> None:
    """Print the numbers of a finished job."""
    from rich.console import Console

    from cryorbit.io.job_folder import JobFolder
    from cryorbit.io.job_result import as_record

    for name, value in as_record(JobFolder.open(output).read_result(kind)).items():
        Console().print(f"{name:<20}{value}", markup=False, highlight=False, soft_wrap=True)
