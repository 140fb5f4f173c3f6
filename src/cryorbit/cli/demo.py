"""The verb ``demo``: simulated or packaged real images to a map in a few minutes."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cryorbit.cli.options import ConfigFile, Device, Output, Seed, Threads


def demo(
    *,
    output: Output,
    real: Annotated[
        bool, Parameter(negative="", help="Run the whole workflow on real particles of apoferritin.")
    ] = False,
    seed: Seed = None,
    config: ConfigFile = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Simulate particle images of a known map, reconstruct it ab initio, and compare the two.

    Needs no data, no network, and about two minutes. The job folder also holds the images, in simulated/. With --real
    the images are 1,270 real particles of apoferritin, in real/, and the job is that of `cryorbit run` with symmetry O.
    """
    from cryorbit.cli.job_work import start

    settings = {
        "output": output,
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    if not real:
        start("demo", settings, config)
        return
    from cryorbit.api.settings import real_particle_settings

    start("run", settings | real_particle_settings(output), config)
