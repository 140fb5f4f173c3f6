"""Random data sets of images as their exact moments: the family that MoM-net is trained on (Paul 2024, section 3.4.1).

Volumes are structures of so many atoms, Gaussians of equal width; views are mixtures of five von Mises-Fisher
distributions with fixed means; shifts are normal, their spread uniform up to a bound. What the thesis does not tell is
taken as follows: atoms are uniform in a ball, its radius, their heights, the concentrations and shares uniform between
bounds.

Plane waves are sums of spherical waves, so a structure's transform at radius k is known in spherical harmonics,

    exp(-2 pi i k u . x) = 4 pi sum_lm (-i)^l j_l(2 pi k |x|) Y_lm(u) Y_lm(x / |x|),

and moments are those of all its slices from the nodes of a quadrature, finer than the one that a network has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import spherical_jn
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.geometry.harmonics import real_harmonics
from cryorbit.geometry.sphere_quadrature import lebedev
from cryorbit.moments.polar import PolarMoments
from cryorbit.studies.paul2024.mom_net.polar_slices import PolarSlices
from cryorbit.studies.paul2024.mom_net.view_clusters import clusters_about, random_clusters

BALLS, WIDTH = (0.15, 0.35), 0.045
"""Radius of the ball of atoms, uniform between bounds, and standard deviation of an atom, in units of the box."""
HEIGHTS = (0.5, 1.5)
CLUSTERS = 5
CONCENTRATIONS, SHARES = (2.0, 10.0), (0.5, 1.5)
MEANS_SEED = 3
NODES_DEGREE = 21
"""Degree of the quadrature over views."""
BEYOND = 2
"""Harmonics reach this many degrees beyond the angular orders."""


@dataclass(frozen=True, slots=True)
class ImageExamples:
    """Moments, float32, and the spread of shifts that they come from, pixels; batch axis first."""

    moments: PolarMoments
    etas: Float[Tensor, " b"]


@dataclass(frozen=True, slots=True)
class ImageFamily:
    """What examples are drawn from; made by ``of``.

    Attributes
    ----------
    slices
        Nodes and polar grid.
    pixel_radii
        Radii of the grid, radians a pixel.
    eta_most
        Largest spread of shifts, pixels.
    waves
        From harmonics of the transform at a radius to angular components of the slices.
    means
        Of the clusters of views.
    """

    slices: PolarSlices
    pixel_radii: Float[Tensor, " k"]
    eta_most: float
    waves: Float[Tensor, "h q w"]
    means: Float[Tensor, "c 3"]

    @classmethod
    def of(cls, radii: Float[Tensor, " k"], orders: int, box: int, eta_most: float) -> ImageFamily:
        """The family seen in images of ``box`` pixels."""
        slices = PolarSlices.of(lebedev(NODES_DEGREE), radii, orders)
        degree = orders + BEYOND
        harmonics = real_harmonics(slices.points[:, :, -1], degree)
        degrees = torch.tensor([ell for ell in range(degree + 1) for _ in range(2 * ell + 1)])
        # (-i)^l is 1, -i, -1, i: even degrees make the real part of a slice, odd ones the imaginary part
        sign = torch.tensor([1.0, -1.0, -1.0, 1.0]).to(radii)[degrees % 4]
        waves = torch.einsum("qah,haw->hqw", harmonics * sign, slices.analysis[degrees % 2])
        generator = generator_for(MEANS_SEED, "view clusters of examples")
        means = random_clusters(CLUSTERS, CONCENTRATIONS, SHARES, generator).means
        return cls(slices, radii * (2 * math.pi / box), eta_most, waves, means)

    def draw(self, count: int, atoms: int, generator: torch.Generator) -> ImageExamples:
        """Data sets of structures of so many atoms."""
        components = self._components(count, atoms, generator)
        views = clusters_about(self.means.expand(count, -1, -1), CONCENTRATIONS, SHARES, generator)
        log_density = views.log_density(self.slices.directions.double())
        weights = (self.slices.log_weights + log_density).softmax(-1)
        etas = self.eta_most * torch.rand(count, generator=generator, dtype=torch.float64)
        moments = self.slices.moments(components, weights.to(components))
        return ImageExamples(moments.blurred(self.pixel_radii, etas.to(components)).map(Tensor.float), etas.float())

    def _components(self, count: int, atoms: int, generator: torch.Generator) -> Float[Tensor, "b q w k"]:
        """Angular components of the slices of random structures."""
        drawn = torch.randn(count, atoms, 3, generator=generator, dtype=torch.float64)
        chance = torch.rand(2, count, atoms, generator=generator, dtype=torch.float64)
        directions = torch.nn.functional.normalize(drawn, dim=-1)
        heights = HEIGHTS[0] + (HEIGHTS[1] - HEIGHTS[0]) * chance[1]
        balls = BALLS[0] + (BALLS[1] - BALLS[0]) * torch.rand(count, 1, generator=generator, dtype=torch.float64)
        positions = directions * (balls * chance[0] ** (1 / 3))[..., None]
        positions = positions - (heights[..., None] * positions).sum(1, keepdim=True) / heights.sum(1)[:, None, None]
        transform = atoms_in_harmonics(positions, heights, self.slices.radii, self.slices.orders + BEYOND)
        return torch.einsum("bhk,hqw->bqwk", transform.to(self.waves), self.waves)


def atoms_in_harmonics(
    positions: Float[Tensor, "b n 3"], heights: Float[Tensor, "b n"], radii: Float[Tensor, " k"], degree: int
) -> Float[Tensor, "b h k"]:
    """Transforms of Gaussians in spherical harmonics at radii, Fourier pixels, without the factor ``(-i)^l``.

    Positions are in units of the box; an atom of height 1 has the transform 1 at the origin.
    """
    harmonics = real_harmonics(positions, degree) * heights[..., None]
    arguments = 2 * np.pi * positions.norm(dim=-1).numpy()[..., None] * radii.double().numpy()
    parts = []
    for ell, angular in enumerate(harmonics.split([2 * each + 1 for each in range(degree + 1)], -1)):
        parts.append(torch.einsum("bnh,bnk->bhk", angular, torch.from_numpy(spherical_jn(ell, arguments))))
    falling = torch.exp(-2 * (math.pi * WIDTH * radii.double()) ** 2)
    return 4 * math.pi * torch.cat(parts, 1) * falling
