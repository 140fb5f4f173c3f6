"""The verb ``demo``: simulated images to a map in a few minutes."""

from __future__ import annotations

from cryorbit.cli.options import ConfigFile, Device, Output, Seed, Threads


def demo(
    *,
    output: Output,
    seed: Seed = None,
    config: ConfigFile = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Simulate particle images of a known map, reconstruct it ab initio, and compare the two.

    Needs no data, no network, and about two minutes. The job folder also holds the images, in simulated/.
    """
    from cryorbit.cli.jobs import start

    given = {
        "output": output,
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    start("demo", given, config)
