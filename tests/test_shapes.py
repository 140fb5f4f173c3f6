"""The shapes of the annotations are not only documentation: a call with another one fails in the tests."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

import pytest
import torch
from jaxtyping import Complex, Float, Int, TypeCheckError, jaxtyped
from torch import Tensor

from checked_shapes import SOURCE, checked, has_array, modules_with_arrays
from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.imaging.observations import Observations, observe
from cryorbit.imaging.transfer import Transfer

IMAGES, PIXELS = 4, 30


@pytest.mark.parametrize("name", modules_with_arrays())
def test_functions_of_modules_with_arrays_are_checked(name: str) -> None:
    members = inspect.getmembers(import_module(name), inspect.isfunction)
    functions = [function for _, function in members if function.__module__ == name]
    assert [function.__name__ for function in functions if not hasattr(function, "__wrapped__")] == []


def test_all_rooms_but_that_of_compiled_kernels_are_checked() -> None:
    with_arrays = {
        file.relative_to(SOURCE).parts[0] for file in SOURCE.rglob("*.py") if "jaxtyping" in file.read_text()
    }
    assert {name.split(".")[1] for name in modules_with_arrays()} == with_arrays - {"kernels"}


def transforms() -> Complex[Tensor, "b p"]:
    return torch.ones(IMAGES, PIXELS, dtype=torch.complex64)


def test_an_axis_of_another_length_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="euler_to_matrix"):
        euler_to_matrix(torch.zeros(IMAGES, 2))


def test_lengths_of_one_name_must_agree() -> None:
    noise = torch.ones(PIXELS)
    observe(transforms(), Transfer(torch.ones(IMAGES, PIXELS)), noise)
    with pytest.raises(TypeCheckError, match="weight"):
        observe(transforms(), Transfer(torch.ones(1, PIXELS)), noise)


def test_another_kind_of_number_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="transform"):
        observe(transforms().real, Transfer(torch.ones(IMAGES, PIXELS)), torch.ones(PIXELS))


def test_fields_of_a_dataclass_must_agree() -> None:
    with pytest.raises(TypeCheckError, match="power"):
        Observations(transforms(), torch.ones(IMAGES, PIXELS), torch.ones(IMAGES, PIXELS - 1))


def test_results_are_checked_against_the_arguments() -> None:
    @jaxtyped(typechecker=checked)
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
