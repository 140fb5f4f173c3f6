"""What can be reproduced, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import Field

from cryorbit.core.bounds import LAST_SEED
from cryorbit.core.errors import InputError
from cryorbit.core.progress import Progress
from cryorbit.recipes.settings import Settings

S = TypeVar("S")


class ReproduceConfig(Settings):
    """Settings of a reproduction."""

    name: str = Field(description="What to reproduce.")
    output: Path = Field(description="Folder for tables and figures.")
    scale: str = Field(
        "quick",
        pattern="^(quick|medium|full)$",
        description="quick: a few minutes. medium: about an hour. full: the largest, not always the paper's size.",
    )
    seed: int = Field(0, ge=0, le=LAST_SEED, description="First seed.")


@dataclass(frozen=True, slots=True)
class Reproduction:
    """An entry of the list.

    Attributes
    ----------
    title
        One line for people.
    full
        In which numbers the scale "full" is not what was published.
    module
        Where its ``run(config, progress)`` is, which returns the files it wrote.
    """

    title: str
    full: str
    module: str

    @property
    def run(self) -> Callable[[ReproduceConfig, Progress], Sequence[Path]]:
        """The function that does the work; its module is imported now."""
        run: Callable[[ReproduceConfig, Progress], Sequence[Path]] = import_module(self.module).run
        return run


REPRODUCTIONS: Mapping[str, Reproduction] = MappingProxyType(
    {
        "paul2024_ch2": Reproduction(
            "Paul 2024, chapter 2: alignment by encoders of moments (table 2.1, figure 2.4), cryo-EM (tables 2.2, 2.3)",
            "25,000 training steps of 64 examples, 1 million images at radius 8; "
            "the thesis: 30,000 epochs of 1.75 million, 5 million at 31",
            "cryorbit.studies.paul2024.ch2.run",
        ),
        "paul2024_ch3": Reproduction(
            "Paul 2024, chapter 3: MoM-net, from moments of images to volume, views and shifts (tables 3.1, 3.2)",
            "6,000 steps of 64 examples, 500,000 images, fits of 800 steps; "
            "the thesis: 20,000 of 128, 5 million, 6,000",
            "cryorbit.studies.paul2024.ch3.run",
        ),
        "paul2024_ch4": Reproduction(
            "Paul 2024, chapter 4: alignment and small cryo-EM by variance-reduced methods (tables 4.1 to 4.3)",
            "methods are given up after 5,000 passes in alignment, 2,000 in cryo-EM; the thesis: 14,000",
            "cryorbit.studies.paul2024.ch4.run",
        ),
        "paul2024_volumes": Reproduction(
            "What Paul 2024, chapter 4 leaves open: variance-reduced methods on volumes, poses integrated out",
            "the thesis has no such table",
            "cryorbit.studies.paul2024.volumes.run",
        ),
        "punjani2014": Reproduction(
            "Punjani & Brubaker 2014: seven stochastic optimisers from a random start (figures 3, 4 and 6)",
            "images, epochs and the spacing of poses are the paper's; "
            "both sets are simulated (a ribosome for the ATP synthase, no outliers)",
            "cryorbit.studies.punjani2014.run",
        ),
        "toader2023": Reproduction(
            "Toader, Brubaker & Lederman 2025: condition numbers, and preconditioned SGD in known and uncertain poses",
            "1,500 simulated images of 128 pixels in mini-batches of 50; "
            "the paper: 30,000 of 192 in mini-batches of 1,000",
            "cryorbit.studies.toader2023.run",
        ),
    }
)


def find_reproduction(name: str) -> Reproduction:
    """The entry of that name; ``InputError`` naming those there are if there is none."""
    if name not in REPRODUCTIONS:
        raise InputError(f"there is no reproduction {name!r}", fix=f"choose one of {', '.join(REPRODUCTIONS)}")
    return REPRODUCTIONS[name]


def choose_scale(scales: Mapping[str, S], config: ReproduceConfig) -> S:
    """The entry of ``scales`` that was asked for; ``InputError`` naming those there are if there is none."""
    if config.scale not in scales:
        raise InputError(f"{config.name} has no scale {config.scale!r}", fix=f"choose one of {', '.join(scales)}")
    return scales[config.scale]
