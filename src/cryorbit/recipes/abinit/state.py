"""The state of a running reconstruction: small, complete, and written to disk after every iteration.

Random numbers are drawn from generators seeded by (seed, name, iteration), so the state of no generator is part of
it: a job continued from its state does what the undisturbed job did.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor

from cryorbit.inference.candidates import Candidates

STAGES = ("search", "grow", "split", "sort", "judge", "symmetrise", "finish", "done")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one random start came to, before the pass over all particles.

    Attributes
    ----------
    seed
        Its seed.
    volume
        Maps of its K classes, on a working box.
    radius
        Fourier radius of the maps.
    held_out
        Mean log-likelihood of held-out particles, nats.
    class_fractions
        Shares of the classes.
    """

    seed: int
    volume: Float[Tensor, "k m m m"]
    radius: float
    held_out: float
    class_fractions: Float[Tensor, " k"]


@dataclass(frozen=True, slots=True)
class State:
    """Where the job is.

    Attributes
    ----------
    start
        Which random start, from 0.
    stage, iteration
        What comes next.
    volume
        Working volumes of K classes (one until the split).
    method
        What the optimiser of the search keeps, packed; None before its first step and after its last.
    noise_variance
        Of each shell.
    radius
        Fourier radius of the next pass.
    cells
        Coarse candidates of the batch, or None when they have to be found.
    estimates
        ``rotation``, ``shift`` and such of the last pass over the batch (fields of ``PoseEstimates``).
    outcomes
        The starts that are over.
    extra
        Scores worth reporting: of the symmetry search, of the splits.
    """

    start: int
    stage: str
    iteration: int
    volume: Float[Tensor, "k m m m"]
    noise_variance: Float[Tensor, " s"]
    radius: float
    method: dict[str, Any] | None = None
    cells: Candidates | None = None
    estimates: dict[str, Tensor] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
