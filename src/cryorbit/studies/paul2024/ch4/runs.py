"""One method on the data of one seed: a part of the study, done once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from cryorbit.core.records import pack, unpack
from cryorbit.optim.minimise import Trace
from cryorbit.recipes.settings import Settings
from cryorbit.studies.bench import Bench
from cryorbit.studies.paul2024.ch4.contenders import Contender


@dataclass(frozen=True, slots=True)
class Run:
    """A method's course on the data of one seed."""

    contender: Contender
    seed: int
    trace: Trace

    @property
    def converged(self) -> bool:
        """Whether two consecutive epochs agreed."""
        return self.trace.ending == "converged"

    @property
    def least(self) -> float:
        """Least objective of the course."""
        return min(value for value in self.trace.values.tolist() if math.isfinite(value))


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem by its name, its settings, and the study that it is a part of."""

    name: str
    settings: Settings
    bench: Bench

    def run_once(self, contender: Contender, seed: int, work: Callable[[], Trace]) -> Run:
        """The run of a method, worked out unless it is kept already; ``Stopped`` if the job was asked to stop."""
        packed = self.bench.part(
            f"{self.name} {contender.name} {seed}",
            (contender, seed, self.settings),
            lambda: pack(work()),
            lambda trace: {"passes": float(trace["passes"][-1]), "objective": float(trace["values"][-1])},
        )
        return Run(contender, seed, unpack(Trace, packed))
