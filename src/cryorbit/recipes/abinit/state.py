"""The state of a running reconstruction: small, complete, and written to disk after every iteration.

Random numbers are drawn from generators seeded by (seed, name, iteration), so the state of no generator is part of
it: a job continued from its state does what the undisturbed job did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from cryorbit.inference.candidates import Candidates
from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.inference.relaxation import Scored
from cryorbit.inference.running_noise import ResidualSums
from cryorbit.recipes.abinit.symmetry_trial import SymmetryTrial

STAGES = ("search", "grow", "split", "sort", "judge", "symmetrise", "finish", "done")


@dataclass(frozen=True, slots=True)
class StartOutcome:
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
class Searched:
    """What the search keeps besides its optimiser's state.

    Attributes
    ----------
    effective
        Effective numbers of poses of the last mini-batches.
    scale
        The unit of the unknown.
    residuals
        What the noise variance is measured from; None where it is that of the background.
    """

    effective: tuple[float, ...]
    scale: float
    residuals: ResidualSums | None = None


@dataclass(frozen=True, slots=True)
class AbinitState:
    """Where the job is.

    Attributes
    ----------
    start
        Which random start, from 0.
    stage, iteration
        What comes next.
    volume
        Working volumes of K classes (one until the split, unless all were searched together).
    method
        What the optimiser of the search keeps, packed; None before its first step and after its last.
    noise_variance
        Of each shell.
    radius
        Fourier radius of the next pass.
    cells
        Coarse candidates of the batch, or None when they have to be found.
    estimates
        Poses of the last pass over the batch, or None.
    outcomes
        The starts that are over.
    searched
        What the search keeps besides; None before its first step and after its last.
    grown
        What the last pass of the growth was scored with; None before the first.
    fresh_cells
        Whether that pass searched all poses.
    consensus_radius
        Fourier radius of the one map that several classes were split from.
    class_fractions
        Shares of the classes in the last pass.
    trial, c1_maps
        What came of the symmetry that was asked for, and the maps without it where it was imposed.
    """

    start: int
    stage: str
    iteration: int
    volume: Float[Tensor, "k m m m"]
    noise_variance: Float[Tensor, " s"]
    radius: float
    method: dict[str, Any] | None = None
    cells: Candidates | None = None
    estimates: PoseEstimates | None = None
    outcomes: tuple[StartOutcome, ...] = ()
    searched: Searched | None = None
    grown: Scored | None = None
    fresh_cells: bool = False
    consensus_radius: float | None = None
    class_fractions: Float[Tensor, " k"] | None = None
    trial: SymmetryTrial | None = None
    c1_maps: Float[Tensor, "k m m m"] | None = None
