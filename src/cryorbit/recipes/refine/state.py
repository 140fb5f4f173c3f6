"""The state of a running refinement, written to disk after every iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.io.job_result import Measured

STAGES = ("sgd", "pass", "late", "final", "done")


@dataclass(frozen=True, slots=True)
class StartFindings:
    """What a sample of the images says of a start map.

    Attributes
    ----------
    log_likelihood
        Mean log-likelihood of an image, nats.
    lead_over_noise
        By how many standard errors it lies above that of random maps.
    inverted
        1 if the map fits clearly better with its contrast inverted, else 0.
    magnification
        At which it fits clearly better; 1 for none.
    """

    log_likelihood: Measured
    lead_over_noise: Measured
    inverted: Measured
    magnification: Measured


@dataclass(frozen=True, slots=True)
class RandomStart:
    """What random starts of the half-sets came to.

    Attributes
    ----------
    agreement_A
        Resolution at which the FSC of their superposed maps falls below 0.5.
    needed_A
        Resolution that counts as one map.
    lead_over_ball
        By how many standard errors held-out particles of each half-set fit its map better than a ball; NaN without any.
    """

    agreement_A: Measured  # noqa: N815 (units belong to the name)
    needed_A: Measured  # noqa: N815
    lead_over_ball: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """What stochastic steps carry from one to the next.

    Attributes
    ----------
    method
        The state of the optimiser, packed.
    scale
        Its unit of the references.
    curvature
        Running mean of W on the padded grids.
    fsc
        Correlation of the half-maps by shell.
    log_likelihood
        Running mean over the mini-batches that were scored to the present radius, nats; None before the first of them.
    """

    method: dict[str, Any]
    scale: float
    curvature: Float[Tensor, "2 k q q h"]
    fsc: Float[Tensor, "k s"]
    log_likelihood: float | None


@dataclass(frozen=True, slots=True)
class Fallback:
    """Log-likelihood and references to go back to if the next late epoch brings nothing."""

    log_likelihood: float
    references: Float[Tensor, "2 k m m m"]


@dataclass(frozen=True, slots=True)
class FinalMaps:
    """Half-maps as they are, and the maps of all images, of the last pass."""

    halves: Float[Tensor, "2 k m m m"]
    volume: Float[Tensor, "k m m m"]


@dataclass(frozen=True, slots=True)
class RefineState:
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
        Passes or mini-batches since it, the radius or the likelihood last grew.
    estimates
        Poses and classes of all particles from the last pass, or of those that mini-batches have met, or None.
    posed_radius
        Fourier radius at which these poses were scored, or more.
    scale
        Contrast of each particle, or None while all are alike.
    history
        Resolved radius after each pass.
    best_likelihood
        Largest mean log-likelihood of the passes or mini-batches that were scored to this radius, nats.
    starts, random_start, start_notes
        What images say of each start map, or what random starts came to, and sentences on what was done to the maps.
    walk
        What stochastic steps carry along; None before the first and after the last of them.
    fallback
        What a late epoch falls back to.
    final
        The maps that the job is written from, in the end.
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
    starts: tuple[StartFindings, ...] = ()
    random_start: RandomStart | None = None
    start_notes: tuple[str, ...] = ()
    walk: Walk | None = None
    fallback: Fallback | None = None
    final: FinalMaps | None = None
