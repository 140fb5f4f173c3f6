"""The arrays of every call that the tests make are checked against the annotations: their shapes and kinds of number.

jaxtyping's hook decorates what is imported after it, and beartype compares. A length that has a name is the same
wherever the name stands in one call or one dataclass, but for a name that begins with ``_``: that of members of a list
that differ in size. ``JAXTYPING_DISABLE=1`` runs the tests without.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, install_import_hook

Function = TypeVar("Function", bound=Callable[..., Any])

SOURCE = Path(__file__).parents[1] / "src" / "cryorbit"
COMPILED = "kernels"
"""numba compiles the functions of this package as they stand and keeps them: decorated, it can do neither."""

RULES = BeartypeConf(is_pep484_tower=True)
"""A whole number passes for a float beside an array, as it does for mypy."""


def check_package() -> None:
    """Check whatever is imported of the package from now on."""
    install_import_hook(modules_with_arrays(), f"{__name__}.check_arrays")


def modules_with_arrays() -> list[str]:
    """Modules that annotate arrays. The others, such as parsers of text, would only become slower."""
    files = [file for file in sorted(SOURCE.rglob("*.py")) if "from jaxtyping import" in file.read_text()]
    parts = [file.relative_to(SOURCE.parent).with_suffix("").parts for file in files]
    return [".".join(each) for each in parts if COMPILED not in each]


def check_arrays(function: Function) -> Function:
    """The function, which now refuses arrays that its annotations do not allow.

    Other types are left to mypy, and wrong settings to the package, whose own messages are tested.
    """
    hints = function.__annotations__
    # jaxtyping checks arguments before the call; after it, when the result's type is known, they need no second check
    names = hints.keys() if hints.get("return", Any) is Any else {"return"}
    function.__annotations__ = {name: hints[name] for name in names if has_array(hints[name])}
    return beartype(conf=RULES)(function) if function.__annotations__ else function


def has_array(hint: object) -> bool:
    """Whether an annotation is that of an array, or has one within: in a tuple, a union, what a function takes."""
    if isinstance(hint, list):
        return any(map(has_array, hint))
    return (isinstance(hint, type) and issubclass(hint, AbstractArray)) or any(map(has_array, get_args(hint)))
