"""The methods that Punjani & Brubaker (2014) compare, and what is kept of the course of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from cryorbit.recipes.optimise.config import PROJECTION_MATCHING
from cryorbit.recipes.optimise.course import HeldOutPoint
from cryorbit.studies.punjani2014.data import DataSet


@dataclass(frozen=True, slots=True)
class Contender:
    """A method in the comparison.

    Attributes
    ----------
    name
        The paper's name of it.
    method
        The package's.
    form
        "published" or "safeguarded" where the package has both; "only" where it has one.
    settings
        Settings that are not its defaults.
    """

    name: str
    method: str
    form: Literal["published", "safeguarded", "only"] = "only"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name in figures and of what is kept, which tells the forms apart."""
        return self.name if self.form == "only" else f"{self.name}, {self.form}"

    @property
    def batch(self) -> bool:
        """Whether it is one of the baselines, which go a few iterations over all images."""
        return self.method in ("em", PROJECTION_MATCHING)


CONTENDERS = (
    Contender("SGD", "sgd"),
    Contender("AdaGrad", "adagrad"),
    Contender("CM", "momentum", "published", {"rate": "step"}),
    Contender("CM", "momentum", "safeguarded"),
    Contender("NAG", "nesterov", "published", {"rate": "step"}),
    Contender("NAG", "nesterov", "safeguarded"),
    Contender("TONGA", "tonga", "published", {"length": "natural"}),
    Contender("TONGA", "tonga", "safeguarded"),
    Contender("oLBFGS", "online-lbfgs", "published", {"safeguard": {"active": False}, "damping": 0.1}),
    Contender("oLBFGS", "online-lbfgs", "safeguarded"),
    Contender(
        "HF",
        "hessian-free",
        "published",
        {"floor": 0.0, "safeguard": {"active": False}, "products": "differences"},
    ),
    Contender("HF", "hessian-free", "safeguarded"),
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
        Held-out likelihood against gradients, and what the method did in between.
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
