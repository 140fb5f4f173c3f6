"""The shapes of the annotations are not only documentation: a call with another one fails in the tests."""

import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType

import pytest
import torch
from jaxtyping import Complex, Float, Int, TypeCheckError, jaxtyped
from torch import Tensor

import cryorbit
from checked_shapes import COMPILED, check_arrays, has_array
from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.imaging.observations import Observations, observe

PACKAGES = sorted(each.name for each in pkgutil.iter_modules(cryorbit.__path__) if each.ispkg)
IMAGES, PIXELS = 4, 30


def modules_of(package: str) -> list[ModuleType]:
    """The modules of a package, without those of its own packages."""
    path = import_module(f"cryorbit.{package}").__path__
    return [import_module(f"cryorbit.{package}.{each.name}") for each in pkgutil.iter_modules(path)]


@pytest.mark.parametrize("package", PACKAGES)
def test_all_functions_but_the_compiled_ones_are_checked(package: str) -> None:
    functions = [
        function
        for module in modules_of(package)
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
    ]
    assert functions
    checked = [function for function in functions if hasattr(function, "__wrapped__")]
    assert checked == ([] if package == COMPILED else functions)


def transforms() -> Complex[Tensor, "b p"]:
    return torch.ones(IMAGES, PIXELS, dtype=torch.complex64)


def test_an_axis_of_another_length_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="euler_to_matrix"):
        euler_to_matrix(torch.zeros(IMAGES, 2))


def test_lengths_of_one_name_must_agree() -> None:
    noise = torch.ones(PIXELS)
    observe(transforms(), torch.ones(IMAGES, PIXELS), noise)
    with pytest.raises(TypeCheckError, match="ctf"):
        observe(transforms(), torch.ones(1, PIXELS), noise)


def test_another_kind_of_number_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="transform"):
        observe(transforms().real, torch.ones(IMAGES, PIXELS), torch.ones(PIXELS))


def test_fields_of_a_dataclass_must_agree() -> None:
    with pytest.raises(TypeCheckError, match="power"):
        Observations(transforms(), torch.ones(IMAGES, PIXELS), torch.ones(IMAGES, PIXELS - 1))


def test_results_are_checked_against_the_arguments() -> None:
    @jaxtyped(typechecker=check_arrays)
    def doubled(values: Float[Tensor, " n"], axis: int) -> Float[Tensor, " n"]:
        return torch.cat([values, values], axis)

    with pytest.raises(TypeCheckError, match="return value"):
        doubled(torch.ones(3), 0)


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Float[Tensor, " n"], True),
        (Float[Tensor, " n"] | None, True),
        (tuple[int, Sequence[Int[Tensor, "n _m"]]], True),
        (Mapping[str, Float[Tensor, " n"]], True),
        (Callable[[Float[Tensor, " n"]], int], True),
        (Tensor, False),
        (tuple[int, Mapping[str, float]], False),
    ],
)
def test_arrays_are_found_wherever_they_stand_in_an_annotation(hint: object, *, expected: bool) -> None:
    assert has_array(hint) == expected
