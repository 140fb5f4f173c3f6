"""Moments of images inverted by networks, case by case: parts of chapters 2 and 3 of Paul (2024), kept when done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from torch import Tensor

from cryorbit.moments.polar import PolarMoments
from cryorbit.moments.training import Schedule
from cryorbit.studies.bench import Bench
from cryorbit.studies.paul2024.mom_net.network import Setting
from cryorbit.studies.paul2024.moments.data import Images, Truth, image_moments, neural_moments
from cryorbit.studies.paul2024.moments.fits import Problem, invert, make_setting

Framework = Literal["MoM-net", "chapter 2"]
Way = Literal["images", "network, own nodes"]
LAST_RATE = 1e-6


@dataclass(frozen=True, slots=True)
class Case:
    """What is inverted: images of a truth with a spread of shifts, pixels, made in one of the ways."""

    truth: Truth
    eta: float
    way: Way

    @property
    def title(self) -> str:
        """For people, and for names of files."""
        return f"{self.truth.name}, {self.way}, eta {self.eta:g}"


@dataclass(frozen=True, slots=True)
class Study:
    """How it is inverted.

    Attributes
    ----------
    bench
        Where parts are kept.
    seed
        Of images and networks.
    radius, orders
        Largest radius, Fourier pixels, and angular order.
    box
        Pixels of the images.
    eta_most
        Largest spread of shifts that MoM-net allows, pixels.
    images
        Number of images.
    fit, truth_fit
        How networks are fitted to moments, and, for the thesis' data, to the map.
    cheap
        Fewer nodes than the thesis has.
    """

    bench: Bench
    seed: int
    radius: int
    orders: int
    box: int
    eta_most: float
    images: int
    fit: Schedule
    truth_fit: Schedule
    cheap: bool

    def setting(self, framework: Framework) -> Setting:
        """Of a framework."""
        eta_most = self.eta_most if framework == "MoM-net" else 0.0
        return make_setting(self.radius, self.orders, self.box, eta_most, cheap=self.cheap)

    def moments(self, case: Case) -> tuple[PolarMoments, float]:
        """Moments, and how far the network that they come from is from the map: 0 for images of the map itself."""
        images = Images(self.box, self.images, case.eta, self.seed)
        setting = self.setting("chapter 2")

        def make() -> dict[str, Any]:
            if case.way == "images":
                moments, error = image_moments(case.truth, images, setting, self.bench.progress), 0.0
            else:
                moments, error = neural_moments(case.truth, images, setting, self.truth_fit)
            return {"first": moments.first, "cosines": moments.cosines, "sines": moments.sines, "error": error}

        inputs = (images, self.radius, self.orders, self.cheap, self.truth_fit)
        self.bench.begin("moments of images")
        part = self.bench.part(f"moments of {case.title}", inputs, make)
        return PolarMoments(part["first"], part["cosines"], part["sines"]), part["error"]

    def invert(
        self, case: Case, framework: Framework, encoder: Mapping[str, Tensor] | None = None
    ) -> Mapping[str, Any]:
        """What `fits.invert` finds, with the given weights of the encoder or random ones."""
        start = "random start" if encoder is None else "trained encoder"
        title = f"{framework}, {case.title}, {start}, {self.fit.steps} steps"
        moments, error = self.moments(case)
        problem = Problem(title, case.truth, moments, self.setting(framework))
        # of the weights, their sum of squares tells one training from another
        size = 0.0 if encoder is None else float(sum(each.double().square().sum() for each in encoder.values()))
        inputs = (self.images, self.radius, self.orders, self.box, self.eta_most, self.cheap, self.fit, self.truth_fit)
        self.bench.begin("fits to moments")
        work = partial(invert, problem, self.fit, self.bench.progress, encoder)
        outcome = self.bench.part(title, (*inputs, self.seed, size), work, _numbers)
        return outcome | {"truth error": error}

    def encoder_alone(self, case: Case, encoder: Mapping[str, Tensor]) -> Mapping[str, Any]:
        """What a trained encoder makes of the moments, without any step of fitting: the refinement network is zero."""
        return replace(self, fit=replace(self.fit, steps=0)).invert(case, "MoM-net", encoder)


def _numbers(outcome: Mapping[str, Any]) -> Mapping[str, float]:
    return {"loss": outcome["first"] + outcome["second"]}


def schedule(steps: int, seed: int, rate: float = 1e-3) -> Schedule:
    """Steps of Adam on one data set."""
    return Schedule(1, steps, 1, rate, LAST_RATE, seed)
