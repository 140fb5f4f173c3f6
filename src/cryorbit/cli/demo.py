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
    from cryorbit.cli.devices import choose_device
    from cryorbit.cli.jobs import find_recipe, start
    from cryorbit.recipes.config import load_config

    given = {
        "output": output.absolute(),
        "seed": seed,
        "device": choose_device(device),
        "threads": threads,
    }
    recipe = find_recipe("demo")
    start(recipe, load_config(recipe.config, config, given), output)
