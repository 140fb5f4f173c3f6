"""The state of a job that a method works through stretch by stretch: where it stands, and its course until then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

from cryorbit.optim.method import Method
from cryorbit.optim.stretches import Position, unpack_position

Point = TypeVar("Point")


@dataclass(frozen=True, slots=True)
class MethodCourse(Generic[Point]):
    """A state of ``stage_loop``.

    Attributes
    ----------
    stage
        Stage that comes next.
    position
        Where the method stands.
    points
        What was measured at the start and after every stretch.
    """

    stage: str
    position: Position
    points: tuple[Point, ...]

    @property
    def iteration(self) -> int:
        """Number of the stretch that comes next, from 1; the start is 0."""
        return len(self.points)


def restored(packed: Mapping[str, Any], method: Method[Any], like: Tensor, kind: type[Point]) -> MethodCourse[Point]:
    """The state that ``core.records.pack`` took apart, on the device of ``like``; its points are of one kind."""
    position = unpack_position(packed["position"], method, like)
    return MethodCourse(packed["stage"], position, tuple(kind(**point) for point in packed["points"]))
