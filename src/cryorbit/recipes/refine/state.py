"""The state of a running refinement, written to disk after every iteration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor

from cryorbit.inference.pose_estimates import PoseEstimates

STAGES = ("sgd", "pass", "late", "final", "done")


@dataclass(frozen=True, slots=True)
class State:
    """Where the job is.

    Attributes
    ----------
    stage, iteration
        What comes next.
    references
        Working volumes of the two half-sets, K classes each.
    noise_variance
        Of each shell, for each half-set.
    radius
        Fourier radius at which poses are scored next.
    resolved
        Largest radius that the half maps have agreed to.
    stalled
        Passes since it, the radius or the likelihood last grew.
    estimates
        Poses and classes of all particles from the last pass, or None.
    posed_radius
        Fourier radius at which these poses were scored.
    scale
        Contrast of each particle, or None while all are alike.
    history
        Resolved radius after each pass.
    best_likelihood
        Largest mean log-likelihood of the passes that were scored to this radius, nats.
    extra
        What is carried for the stochastic stage and the report.
    """

    stage: str
    iteration: int
    references: Float[Tensor, "2 k m m m"]
    noise_variance: Float[Tensor, "2 s"]
    radius: float
    resolved: float = 0.0
    stalled: int = 0
    estimates: PoseEstimates | None = None
    posed_radius: float = 0.0
    scale: Float[Tensor, " n"] | None = None
    history: tuple[float, ...] = ()
    best_likelihood: float = float("-inf")
    extra: dict[str, Any] = field(default_factory=dict)
