"""A volume's transform as a network of frequency: FourierNet (Levy et al. 2022), and the form of Paul (2024), A.1.

Two networks of sine layers (Sitzmann et al. 2020), of different size and frequency, look at frequencies scaled to a
ball of radius 1. As its authors coded it, FourierNet multiplies their outputs in each of two channels, the real and the
imaginary part: ``exp(envelope) * modulant``. Printed in the thesis is ``a exp(i b)`` with real networks a and b. Both
are Hermitian by construction: the half space of negative frequencies takes the conjugate of its mirror image, and the
origin is real. Both begin as the zero volume, with slopes to leave it.
"""

from __future__ import annotations

import itertools
import math
from typing import Literal

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor, nn

Form = Literal["elementwise", "polar"]
WIDTH = 256
MODULANT = (3, 40.0)
ENVELOPE = (2, 30.0)
"""Hidden layers after the first, and the frequency of the sines."""
ON_PLANE = 1e-6
"""Distance from a plane through the origin, of the radius, below which a frequency counts as on it."""


class SineNetwork(nn.Module):
    """Layers ``sin(w0 (A x + b))`` with a linear one at the end, and the starting weights that suit them."""

    def __init__(self, outputs: int, depth: int, frequency: float) -> None:
        super().__init__()
        self.frequency = frequency
        sizes = [3, *[WIDTH] * (depth + 1)]
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(sizes))
        self.last = nn.Linear(WIDTH, outputs)
        for number, layer in enumerate([*self.hidden, self.last]):
            size = layer.weight.shape[1]
            bound = 1 / size if number == 0 else math.sqrt(6 / size) / frequency
            nn.init.uniform_(layer.weight, -bound, bound)

    def forward(self, points: Float[Tensor, "*p 3"]) -> Float[Tensor, "*p c"]:
        """Values at points."""
        for layer in self.hidden:
            points = torch.sin(self.frequency * layer(points))
        values: Tensor = self.last(points)
        return values


class FourierNet(nn.Module):
    """The transform of a real volume at any frequency; weights come from torch's global generator.

    Attributes
    ----------
    radius
        Frequency, Fourier pixels, that the networks see as 1.
    form
        How the networks' outputs make a complex number.
    """

    def __init__(self, radius: float, form: Form = "elementwise") -> None:
        super().__init__()
        self.radius, self.form = radius, form
        outputs = 2 if form == "elementwise" else 1
        self.modulant = SineNetwork(outputs, *MODULANT)
        self.envelope = SineNetwork(outputs, *ENVELOPE)
        # the factor that makes the volume zero, while the other one gives it a slope
        zeroed = self.modulant.last if form == "elementwise" else self.envelope.last
        nn.init.zeros_(zeroed.weight)
        nn.init.zeros_(zeroed.bias)

    def forward(self, frequencies: Float[Tensor, "*p 3"]) -> Complex[Tensor, "*p"]:
        """Transform at frequencies ``(x, y, z)``, Fourier pixels."""
        points = frequencies / self.radius
        mirrored = _negative(points)
        points = torch.where(mirrored[..., None], -points, points)
        modulant, envelope = self.modulant(points), self.envelope(points)
        if self.form == "elementwise":
            real, imaginary = (envelope.exp() * modulant).unbind(-1)
        else:
            amplitude, phase = envelope[..., 0], modulant[..., 0]
            real, imaginary = amplitude * phase.cos(), amplitude * phase.sin()
        origin = (points.abs() < ON_PLANE).all(-1)
        sign = torch.where(mirrored, -1.0, 1.0).masked_fill(origin, 0.0)
        return torch.complex(real, imaginary * sign)


def _negative(points: Float[Tensor, "*p 3"]) -> Bool[Tensor, "*p"]:
    """Whether a point is in the half space whose values are conjugates: the first coordinate not zero is negative."""
    x, y, z = points.unbind(-1)
    on_x, on_y = x.abs() < ON_PLANE, y.abs() < ON_PLANE
    return (x <= -ON_PLANE) | (on_x & ((y <= -ON_PLANE) | (on_y & (z <= -ON_PLANE))))
