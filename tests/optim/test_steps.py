"""Every optimiser is the one that its name says: its steps, computed by hand, on three quadratics of two unknowns."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import by_hand_gradients
import by_hand_snapshots
import pytest
import torch
from quadratics import X0, stepped

from cryorbit.optim.registry import METHODS

BY_HAND = by_hand_gradients.BY_HAND | by_hand_snapshots.BY_HAND


@pytest.mark.parametrize("name", METHODS)
def test_the_steps_are_those_computed_by_hand(name: str) -> None:
    method, epochs, expected = BY_HAND[name]()
    assert type(method) is METHODS[name]
    for number, x in enumerate(expected, start=1):
        found, state, _ = stepped(method, epochs[:number])
        torch.testing.assert_close(found, x, rtol=1e-9, atol=1e-9)
        # a safeguard that stepped in would have made other steps
        holder = getattr(state, "course", state)
        assert not hasattr(holder, "interventions") or holder.interventions.total == 0


ENDLESS = set(by_hand_gradients.BY_HAND) - {"gradient-descent", "preconditioned-sgd"} | {"stochastic-em"}
"""Methods to which an epoch means nothing: that walk through it in parts as they would at once."""


@pytest.mark.parametrize("name", sorted(ENDLESS))
def test_blocks_one_by_one_or_together_are_the_same_steps(name: str) -> None:
    method, epochs, expected = BY_HAND[name]()
    found, _, _ = stepped(method, [[block for order in epochs for block in order]])
    torch.testing.assert_close(found, expected[-1], rtol=1e-9, atol=1e-9)


def test_no_two_methods_make_the_same_steps() -> None:
    reached = {}
    for name, kind in METHODS.items():
        method: Any = kind()
        if method.batch_size is not None:
            method = replace(method, batch_size=1)
        epoch = [0] if method.batch_size is None else [0, 1, 2]
        reached[name], _, _ = stepped(method, [epoch, epoch])
        assert float((reached[name] - X0).norm()) > 0.05
    for first, second in combinations(reached, 2):
        assert float((reached[first] - reached[second]).norm()) > 1e-6, (first, second)
