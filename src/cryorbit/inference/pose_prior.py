"""What is known of the poses of images before they are looked at."""

from __future__ import annotations

from typing import Protocol

from jaxtyping import Float
from torch import Tensor


class PosePrior(Protocol):
    """A density of poses relative to the uniform one, the product of one of rotations and one of shifts.

    Both have mean 1 over all poses, which keeps log-evidences comparable, and are positive everywhere: a pose that no
    prior allows must stay possible for an image that shows nothing else. With a point group, ``R`` and ``R @ g`` have
    one density. Cells of poses are judged by their centres: a density varies little within the coarsest.
    """

    def of_rotations(self, rotations: Float[Tensor, "n 3 3"], /) -> Float[Tensor, " n"]:
        """Log of the density at rotations, nats."""
        ...

    def of_shifts(self, shifts: Float[Tensor, "n 2"], /) -> Float[Tensor, " n"]:
        """Log of the density at shifts in pixels, nats."""
        ...


def at_candidates(
    prior: PosePrior, rotations: Float[Tensor, "e 3 3"], centres: Float[Tensor, "e 2"], lattice: Float[Tensor, "t 2"]
) -> Float[Tensor, "e t"]:
    """Log of the density at rotations, each with shifts ``centre + lattice`` of its own."""
    shifts = centres[:, None] + lattice
    return prior.of_rotations(rotations)[:, None] + prior.of_shifts(shifts.flatten(0, 1)).unflatten(0, shifts.shape[:2])
