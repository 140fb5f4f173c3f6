"""A process that shares a job with others, for tests that do its part alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Member:
    """A process of several, which hears nothing of the others: what it would send is what it has."""

    rank: int
    size: int

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """Leave the part of this process."""

    def gather(self, value: Any) -> list[Any]:
        """Return the part of this process."""
        return [value]

    def broadcast(self, value: Any) -> Any:
        """Return the value."""
        return value

    def any(self, *, flag: bool) -> bool:
        """Return the flag."""
        return flag
