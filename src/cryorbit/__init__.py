"""cryorbit: from particle images of unknown pose to three-dimensional maps.

The architecture, floor by floor, is described in ``docs/architecture.md``; imports point down only.
"""

from importlib.metadata import version

__version__ = version("cryorbit")
