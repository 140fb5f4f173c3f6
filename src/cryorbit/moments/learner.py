"""A network in training: Adam with a learning rate that the caller sets at each step, recorded for checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryorbit.moments.rates import set_rate

N = TypeVar("N", bound=nn.Module)


@dataclass(slots=True)
class Learner(Generic[N]):
    """A network, its optimiser's memory and the steps taken.

    Attributes
    ----------
    network, optimiser
        What learns, and Adam.
    steepest
        Length that gradients are cut to.
    step
        Steps taken.
    """

    network: N
    optimiser: torch.optim.Optimizer
    steepest: float = torch.inf
    step: int = 0

    @classmethod
    def begin(cls, network: N, steepest: float = torch.inf) -> Learner[N]:
        """Learning that has not begun."""
        return cls(network, torch.optim.Adam(network.parameters()), steepest)

    def descend(self, loss: Float[Tensor, ""], rate: float) -> float:
        """Take one step of Adam; returns the loss before it."""
        set_rate(self.optimiser, rate)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.steepest)
        self.optimiser.step()
        self.step += 1
        return float(loss.detach())

    def record(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(), "step": self.step}

    def restore(self, record: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        self.network.load_state_dict(record["network"])
        self.optimiser.load_state_dict(record["optimiser"])
        self.step = record["step"]
