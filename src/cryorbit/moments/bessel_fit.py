"""Volume, density of view directions and spread of shifts from polar moments: sequential least squares, several starts.

First the first moment is matched, which knows the radial mean only, then both (subspace method of moments). The sum of
squares is that of relative errors in the norm of the plane, where a radius k counts k-fold. What comes out is known up
to a rotation and a reflection.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.moments.bessel_model import BesselModel
from cryorbit.moments.fit import Fit, best_of, fit_lbfgs
from cryorbit.moments.polar import PolarMoments

FIRST_STEPS = 100
DENSITY_SPREAD = 0.3
"""Standard deviation of the coefficients of a start's log-density."""
START_ETA = -2.0
"""Where the spread of shifts starts: an eighth of the largest that is allowed."""


@dataclass(frozen=True, slots=True)
class BesselSolution:
    """What was found.

    Attributes
    ----------
    coefficients
        Of the volume.
    density
        Coefficients of the logarithm of the density.
    eta
        Standard deviation of shifts along each axis, pixels.
    first_error, second_error
        Relative errors of the moments.
    fit
        The fit it comes from.
    """

    coefficients: Float[Tensor, " b"]
    density: Float[Tensor, " h"]
    eta: float
    first_error: float
    second_error: float
    fit: Fit


@dataclass(frozen=True, slots=True)
class BesselProblem:
    """Which moments are to be inverted.

    Attributes
    ----------
    model
        Moments of volume and density.
    target
        The estimates.
    radii
        Of both, radians a pixel.
    eta_most
        Largest spread of shifts, pixels; 0 where images are centred.
    """

    model: BesselModel
    target: PolarMoments
    radii: Float[Tensor, " k"]
    eta_most: float = 0.0

    def moments(self, unknown: Float[Tensor, " p"]) -> PolarMoments:
        """Moments of coefficients, log-density and spread, one after the other."""
        coefficients, density, spread = self._split(unknown)
        unblurred = self.model.moments(coefficients, self.model.density.weights(density))
        return unblurred.blurred(self.radii, self.eta_most * spread.sigmoid()) if self.eta_most else unblurred

    def residuals(self, unknown: Float[Tensor, " p"]) -> Float[Tensor, " m"]:
        """Differences of both moments over their norms."""
        first, second = self._differences(self.moments(unknown))
        return torch.cat([first, second])

    def solve(self, starts: int, steps: int, generator: torch.Generator) -> BesselSolution:
        """The best of fits from random starts."""
        fits = [self.fit(self.start(generator), steps) for _ in range(starts)]
        return self.read(best_of(fits))

    def fit(self, start: Float[Tensor, " p"], steps: int) -> Fit:
        """Match the first moment, then both."""
        begun = fit_lbfgs(lambda x: self._differences(self.moments(x))[0], start, FIRST_STEPS)
        return fit_lbfgs(self.residuals, begun.parameters, steps)

    def start(self, generator: torch.Generator) -> Float[Tensor, " p"]:
        """Random coefficients whose second moment has the size of the target's, a random density."""
        model = self.model
        drawn = torch.randn(model.basis.size + model.density.size, generator=generator, dtype=torch.float64)
        coefficients, density = drawn.to(self.radii).split([model.basis.size, model.density.size])
        size = model.moments(coefficients, model.density.weights(0 * density)).cosines.norm()
        scaled = coefficients * (self.target.cosines.norm() / size).sqrt()
        return torch.cat([scaled, DENSITY_SPREAD * density, scaled.new_full((1,), START_ETA)])

    def read(self, fit: Fit) -> BesselSolution:
        """A fit's unknown, taken apart."""
        coefficients, density, spread = self._split(fit.parameters)
        first, second = self._differences(self.moments(fit.parameters))
        eta = self.eta_most * float(spread.sigmoid())
        return BesselSolution(coefficients, density, eta, float(first.norm()), float(second.norm()), fit)

    def _split(self, unknown: Float[Tensor, " p"]) -> tuple[Tensor, Tensor, Tensor]:
        coefficients, density, spread = unknown.split([self.model.basis.size, self.model.density.size, 1])
        return coefficients, density, spread[0]

    def _differences(self, predicted: PolarMoments) -> tuple[Float[Tensor, " k"], Float[Tensor, " m"]]:
        root = self.radii.sqrt()
        first, second = (each.first * root for each in (predicted, self.target))
        # waves have a mean square of a half, but for order 0
        parity = torch.full_like(self.target.cosines[:, :1, :1], 0.5**0.5)
        parity[0] = 1.0
        weight = parity * root[:, None] * root
        waves, target = (torch.cat([each.cosines * weight, each.sines * weight]) for each in (predicted, self.target))
        return (first - second) / second.norm(), ((waves - target) / target.norm()).flatten()
