"""What can be reproduced, by name, and in which numbers the largest scale is not what was published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryorbit.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the scale "full" beside the published one.

    Attributes
    ----------
    setting
        The setting that holds it, with its groups: ``alignment.passes``.
    full
        Its value at that scale.
    published
        The published one; text where it is counted in other units.
    what
        What is counted.
    """

    setting: str
    full: float
    published: float | str
    what: str

    @property
    def difference(self) -> str:
        """Both in words."""
        return f"{self.what}: {_written(self.full)} instead of {_written(self.published)}"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """An entry of the list.

    Attributes
    ----------
    title
        One line for people.
    place
        Where its settings are, ``module:Class``; beside them is its ``run(config, job, progress)``.
    numbers
        What is known of the published numbers, those that are equal included.
    remark
        What numbers do not say of the difference to what was published.
    """

    title: str
    place: str
    numbers: tuple[Number, ...] = ()
    remark: str = ""

    @property
    def full(self) -> str:
        """In which numbers the scale "full" is not what was published."""
        differences = [each.difference for each in self.numbers if each.full != each.published]
        return "; ".join([*differences, self.remark] if self.remark else differences)


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,g}"


REPRODUCTIONS: Mapping[str, Reproduction] = MappingProxyType(
    {
        "paul2024_ch2": Reproduction(
            "Paul 2024, chapter 2: alignment by encoders of moments (table 2.1, figure 2.4), cryo-EM (tables 2.2, 2.3)",
            "cryorbit.studies.paul2024.ch2.run:Chapter2Config",
            (
                Number("training.steps", 25_000, "30,000 epochs of 1,750,000", "training steps of 64 new examples"),
                Number("training.rate", 3e-3, 1e-4, "first learning rate of the encoders"),
                Number("training.test_count", 250_000, 250_000, "examples of the test"),
                Number("recovery.sets", 20, 20, "data sets"),
                Number("recovery.observations", 1_000_000, 1_000_000, "observations"),
                Number("recovery.steps", 3000, 3000, "steps of refinement"),
                Number("cryoem.images", 1_000_000, 5_000_000, "images"),
                Number("cryoem.radius", 8, 31, "largest Fourier radius, pixels"),
                Number("cryoem.steps", 1500, 20_000, "steps of a fit"),
                Number("cryoem.rate", 1e-3, 1e-5, "first learning rate of a fit"),
            ),
        ),
        "paul2024_ch3": Reproduction(
            "Paul 2024, chapter 3: MoM-net, from moments of images to volume, views and shifts (tables 3.1, 3.2)",
            "cryorbit.studies.paul2024.ch3.run:Chapter3Config",
            (
                Number("training.steps", 6000, 20_000, "training steps"),
                Number("training.batch", 64, 128, "examples per training step"),
                Number("training.rate", 2e-3, 1e-5, "first learning rate of the training"),
                Number("training.atoms", 20, 20, "atoms"),
                Number("training.test_count", 13_000, 13_000, "examples of the test"),
                Number("images", 500_000, 5_000_000, "images"),
                Number("radius", 7, 22, "largest Fourier radius, pixels"),
                Number("fit_steps", 800, 6000, "steps of a fit"),
                Number("fit_rate", 1e-3, 1e-5, "first learning rate of a fit"),
            ),
        ),
        "paul2024_ch4": Reproduction(
            "Paul 2024, chapter 4: alignment and small cryo-EM by variance-reduced methods (tables 4.1 to 4.3)",
            "cryorbit.studies.paul2024.ch4.run:Chapter4Config",
            (
                Number("alignment.seeds", 10, "an unknown number", "seeds in alignment"),
                Number("alignment.observations", 3000, 3000, "observations"),
                Number("alignment.passes", 5000.0, 14_000.0, "most passes in alignment"),
                Number("cryoem.seeds", 5, "an unknown number", "seeds in cryo-EM"),
                Number("cryoem.images", 3600, 3600, "images"),
                Number("cryoem.passes", 2000.0, 2000.0, "most passes in cryo-EM"),
                Number("cryoem.design", 100, 100, "view directions"),
                Number("cryoem.in_plane", 12, 12, "angles in the plane"),
            ),
        ),
        "paul2024_volumes": Reproduction(
            "What Paul 2024, chapter 4 leaves open: variance-reduced methods on volumes, poses integrated out",
            "cryorbit.studies.paul2024.volumes.run:VolumesConfig",
            remark="the thesis has no such table",
        ),
        "punjani2014": Reproduction(
            "Punjani & Brubaker 2014: seven stochastic optimisers from a random start (figures 3, 4 and 6)",
            "cryorbit.studies.punjani2014.run:Punjani2014Config",
            (
                Number("images", 50_000, 50_000, "images"),
                Number("held_out", 100, 100, "images held out"),
                Number("epochs", 10.0, 10.0, "epochs"),
                Number("batch_epochs", 5.0, 5.0, "iterations of the batch methods"),
            ),
            "both sets are simulated (50,000 images of a ribosome in place of 46,105 of an ATP synthase, no outliers)",
        ),
        "toader2023": Reproduction(
            "Toader, Brubaker & Lederman 2025: condition numbers, and preconditioned SGD in known and uncertain poses",
            "cryorbit.studies.toader2023.run:Toader2023Config",
            (
                Number("images", 1500, 30_000, "images"),
                Number("box", 128, 192, "pixels along a side"),
                Number("small_box", 64, 192, "pixels along a side where condition numbers are computed"),
            ),
            "images are simulated; a mini-batch is a thirtieth of them, as in the paper, so 50 images instead of 1,000",
        ),
    }
)
VERB = "reproduce"


def find_reproduction(name: str) -> Reproduction:
    """The entry of that name; ``InputError`` naming those there are if there is none."""
    if name not in REPRODUCTIONS:
        raise InputError(f"there is no reproduction {name!r}", fix=f"choose one of {', '.join(REPRODUCTIONS)}")
    return REPRODUCTIONS[name]


def reproduction_of(verb: str) -> Reproduction | None:
    """The entry that a job's verb, ``reproduce NAME``, names; None if it is another verb."""
    command, _, name = verb.partition(" ")
    return REPRODUCTIONS.get(name) if command == VERB else None
