"""Settings at the ends of their ranges: whatever may be given leads to numbers."""

from __future__ import annotations

from typing import Any

import annotated_types
import pytest
import torch
from quadratics import Index, Quadratics, Vector, stepped

from cryorbit.optim.protocols import Evaluation
from cryorbit.optim.registry import METHODS
from cryorbit.optim.settings import settings_model


def edges(kind: type) -> list[tuple[str, float]]:
    """Numbers of a method and the ends of their ranges that may be taken; those of mere size are left out."""
    found = []
    for name, field in settings_model(kind).model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, annotated_types.Ge):
                found.append((name, mark.ge))
            if isinstance(mark, annotated_types.Le) and mark.le == 1:
                found.append((name, mark.le))
    return found  # type: ignore[return-value]


class Bent(Quadratics):
    """The sum upside down: curvature is negative everywhere."""

    def evaluate(self, x: Vector, idx: Index) -> Evaluation:
        """Mean value and gradient."""
        found = super().evaluate(x, idx)
        return Evaluation(-found.value, -found.field)

    def hessian_vector(self, x: Vector, vector: Vector, idx: Index) -> Vector:
        """The Hessian is the same everywhere."""
        return -super().hessian_vector(x, vector, idx)


@pytest.mark.parametrize(
    ("name", "setting", "edge"), [(name, *each) for name in METHODS for each in edges(METHODS[name])]
)
def test_settings_at_the_ends_of_their_ranges_give_numbers(name: str, setting: str, edge: float) -> None:
    kind: Any = METHODS[name]
    method = kind(**{"batch_size": None if kind().batch_size is None else 1, setting: edge})
    order = [0] if method.batch_size is None else [0, 1, 2]
    for oracle in (Quadratics(), Bent()):
        assert torch.isfinite(stepped(method, [order] * 4, oracle=oracle)[0]).all()
