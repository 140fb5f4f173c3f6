"""Random mixtures of Gaussians on the circle: the family of signals and of densities that encoders are trained on.

The thesis draws both from mixtures of one, two or three Gaussians (Paul 2024, section 2.4.1) and does not tell their
parameters. Here centres are uniform, widths uniform in `WIDTHS`, and weights uniform in `WEIGHTS` before they are made
to add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.imaging.windowed_shifts import WindowedShifts
from cryorbit.moments.mra import shift_moments
from cryorbit.moments.pair import Moments

WIDTHS = (0.04, 0.12)
"""Standard deviations, parts of the period."""
WEIGHTS = (0.5, 1.5)


@dataclass(frozen=True, slots=True)
class Examples:
    """Moments and what they come from: signals of mean 1, densities of sum 1; float32."""

    moments: Moments
    signals: Float[Tensor, "b n"]
    densities: Float[Tensor, "b n"]

    def to(self, device: torch.device | str) -> Examples:
        """The same examples on ``device``."""
        return Examples(self.moments.map(lambda x: x.to(device)), self.signals.to(device), self.densities.to(device))


def draw_mixtures(count: int, components: int, length: int, generator: torch.Generator) -> Float[Tensor, "b n"]:
    """Mixtures of so many Gaussians on ``length`` samples, of sum 1; float64."""

    def uniform(least: float, most: float) -> Tensor:
        return least + (most - least) * torch.rand(count, components, 1, generator=generator, dtype=torch.float64)

    centres, widths, weights = uniform(0, 1), uniform(*WIDTHS), uniform(*WEIGHTS)
    position = torch.arange(length, dtype=torch.float64) / length
    distance = (position - centres + 0.5) % 1 - 0.5
    curves = (weights / widths * torch.exp(-distance.square() / (2 * widths.square()))).sum(1)
    return curves / curves.sum(1, keepdim=True)


def draw_examples(count: int, components: int, length: int, generator: torch.Generator) -> Examples:
    """Signals and densities of the family with their exact moments."""
    signals = length * draw_mixtures(count, components, length, generator)
    densities = draw_mixtures(count, components, length, generator)
    moments = shift_moments(signals[:, None], densities, WindowedShifts.of(length, length, signals))
    return Examples(moments.map(Tensor.float), signals.float(), densities.float())
