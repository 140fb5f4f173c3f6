"""The methods that Punjani & Brubaker (2014) compare, and what is kept of the course of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from cryorbit.recipes.optimise.config import PROJECTION_MATCHING
from cryorbit.recipes.optimise.course import HeldOutPoint
from cryorbit.studies.punjani2014.data import DataSet


@dataclass(frozen=True, slots=True)
class Contender:
    """A method, by the paper's name and the package's, and settings that are not its defaults."""

    name: str
    method: str
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def batch(self) -> bool:
        """Whether it is one of the baselines, which go a few iterations over all images."""
        return self.method in ("em", PROJECTION_MATCHING)


CONTENDERS = (
    Contender("SGD", "sgd"),
    Contender("AdaGrad", "adagrad"),
    Contender("CM", "momentum"),
    Contender("NAG", "nesterov"),
    Contender("TONGA", "tonga"),
    Contender("oLBFGS", "online-lbfgs"),
    Contender("HF", "hessian-free"),
    Contender("batch EM", "em"),
    Contender("projection matching", PROJECTION_MATCHING),
)


@dataclass(frozen=True, slots=True)
class Run:
    """A method's course on a data set.

    Attributes
    ----------
    contender, data
        Who ran on what.
    points
        Held-out likelihood against gradients.
    maps
        Densities after about a tenth of an epoch, one epoch, and at the end, on the frame of the truth.
    fsc
        Correlation with the truth in shells up to the radius that is scored, after one epoch and at the end.
    nodes
        Poses summed over for each gradient.
    """

    contender: Contender
    data: DataSet
    points: list[HeldOutPoint]
    maps: list[Float[Tensor, "n n n"]]
    fsc: list[Float[Tensor, " s"]]
    nodes: int
