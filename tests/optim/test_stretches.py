"""Minimisations in stretches: the same course however it is interrupted, one order for all, undivided snapshots."""

import io
from dataclasses import replace
from typing import Any

import pytest
import torch
from finite_sums import SHAPE, least_squares

from cryorbit.core.errors import InputError
from cryorbit.core.records import pack
from cryorbit.optim.method import Method
from cryorbit.optim.registry import METHODS
from cryorbit.optim.sgd import SGD
from cryorbit.optim.stretches import Position, Stretches, unpack_position


def method(name: str) -> Method[Any]:
    """The method with blocks of 40 terms, if it has any."""
    made = METHODS[name]()
    return made if made.batch_size is None else replace(made, batch_size=40)  # type: ignore[type-var]


def advanced(stretches: Stretches, position: Position, times: int) -> Position:
    for _ in range(times):
        position = stretches.advance(position)
    return position


@pytest.mark.parametrize("name", METHODS)
def test_an_interrupted_run_goes_on_to_the_same_bits(name: str) -> None:
    problem, _ = least_squares()
    start = torch.ones(SHAPE, dtype=torch.float64)
    first = Stretches(problem, method(name), 3, 3)
    straight = advanced(first, first.begin(start), 7)
    file = io.BytesIO()
    torch.save(pack(advanced(first, first.begin(start), 4)), file)
    file.seek(0)
    again = Stretches(problem, method(name), 3, 3)
    position = unpack_position(torch.load(file, weights_only=True), method(name), start)
    resumed = advanced(again, position, 3)
    assert torch.equal(resumed.x, straight.x)
    assert (resumed.epoch, resumed.stretch, resumed.evaluations) == (
        straight.epoch,
        straight.stretch,
        straight.evaluations,
    )


def test_stretches_divide_an_epoch_and_change_nothing() -> None:
    problem, _ = least_squares()
    start = torch.ones(SHAPE, dtype=torch.float64)
    whole, parts = (Stretches(problem, method("momentum"), 5, number) for number in (1, 3))
    one, three = advanced(whole, whole.begin(start), 2), advanced(parts, parts.begin(start), 6)
    assert torch.equal(one.x, three.x)
    assert one.epoch == three.epoch == 2
    assert one.evaluations == three.evaluations


@pytest.mark.parametrize("name", ["svrg", "sem-vr-statistics"])
def test_an_epoch_that_begins_with_a_snapshot_is_not_divided(name: str) -> None:
    problem, _ = least_squares()
    stretches = Stretches(problem, method(name), 5, 3)
    position = advanced(stretches, stretches.begin(torch.ones(SHAPE, dtype=torch.float64)), 2)
    assert (position.epoch, position.stretch) == (2, 0)


def test_methods_with_equal_blocks_see_the_terms_in_one_order() -> None:
    problem, _ = least_squares()
    seen: dict[str, list[tuple[int, ...]]] = {}

    class Watching:
        """The sum, writing down who asked for what."""

        num_terms = problem.num_terms

        def __init__(self, name: str) -> None:
            self.name = name

        def evaluate(self, x: torch.Tensor, idx: torch.Tensor | None) -> Any:
            if idx is not None:
                seen.setdefault(self.name, []).append(tuple(idx.tolist()))
            return problem.evaluate(x, idx)

    for name in ("momentum", "adagrad"):
        stretches = Stretches(Watching(name), method(name), 5, 2)
        advanced(stretches, stretches.begin(torch.ones(SHAPE, dtype=torch.float64)), 4)
    count = 2 * -(-problem.num_terms // 40)
    assert seen["momentum"][-count:] == seen["adagrad"][-count:]


def test_a_method_that_does_not_name_its_state_is_told() -> None:
    class Silent(SGD):
        """SGD whose init says nothing."""

        def init(self, blocks, x):  # type: ignore[no-untyped-def]
            return SGD().init(blocks, x)

    with pytest.raises(InputError, match="names no class"):
        unpack_position({"x": torch.ones(1), "state": {}}, Silent(), torch.ones(1))
