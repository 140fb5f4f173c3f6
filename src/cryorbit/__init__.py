"""cryorbit: from particle images of unknown pose to three-dimensional maps.

``import cryorbit as co`` gives, in Python, what the command line does: ``co.read_particles``, ``co.abinit``,
``co.refine``, ``co.compare`` and the rest of `cryorbit.api`, which is imported when one of its names is first used.

The architecture, floor by floor, is described in ``docs/architecture.md``; imports point down only.
"""

from importlib import import_module

__version__ = "0.2.0.dev0"


def __getattr__(name: str) -> object:
    """A name of `cryorbit.api`."""
    api = None if name.startswith("_") else import_module("cryorbit.api")
    if name not in getattr(api, "__all__", ()):
        raise AttributeError(f"module 'cryorbit' has no attribute {name!r}")
    return getattr(api, name)


def __dir__() -> list[str]:
    """The names of `cryorbit.api` and the version."""
    return [*import_module("cryorbit.api").__all__, "__version__"]
