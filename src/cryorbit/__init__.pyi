"""The names of the package, for editors and type checkers; at run time ``__getattr__`` gives them."""

from cryorbit.api import *  # noqa: F403

__version__: str
