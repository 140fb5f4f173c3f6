"""Densities of view directions as mixtures of von Mises-Fisher distributions, the normal distributions of the sphere.

    density(u) = sum_c share_c kappa_c / (1 - exp(-2 kappa_c)) 2 exp(kappa_c (mean_c . u - 1))

relative to the uniform density, of mean 1 over the sphere.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.rotations import euler_to_matrix


@dataclass(frozen=True, slots=True)
class ViewClusters:
    """A mixture of C distributions; batch axes first.

    Attributes
    ----------
    means
        Unit vectors.
    concentrations
        The kappa of each, positive.
    shares
        Of sum 1.
    """

    means: Float[Tensor, "*b c 3"]
    concentrations: Float[Tensor, "*b c"]
    shares: Float[Tensor, "*b c"]

    def log_density(self, directions: Float[Tensor, "q 3"]) -> Float[Tensor, "*b q"]:
        """Logarithm of the density relative to the uniform one."""
        kappa = self.concentrations[..., None]
        exponent = kappa * (self.means @ directions.mT.to(self.means) - 1)
        height = 2 * kappa / -torch.expm1(-2 * kappa)
        return (self.shares.log()[..., None] + height.log() + exponent).logsumexp(-2)

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "n 3"]:
        """Directions drawn from one mixture."""
        which = torch.multinomial(self.shares, count, replacement=True, generator=generator)
        chance, turn = torch.rand(2, count, generator=generator, dtype=self.means.dtype)
        kappa = self.concentrations[which]
        # the cosine of the angle from the mean has an exponential distribution, cut at -1
        cosine = 1 + (chance + (1 - chance) * torch.exp(-2 * kappa)).log() / kappa
        sine = (1 - cosine.square()).clamp_min(0).sqrt()
        angle = 2 * torch.pi * turn
        local = torch.stack([sine * angle.cos(), sine * angle.sin(), cosine], -1)
        return torch.einsum("nij,ni->nj", _towards(self.means)[which], local)

    def draw_poses(self, count: int, generator: torch.Generator) -> Float[Tensor, "n 3 3"]:
        """Rotations whose view directions, the third rows, are drawn so; in-plane angles are uniform."""
        directions = self.draw(count, generator)
        in_plane = 360 * torch.rand(count, generator=generator, dtype=directions.dtype)
        return _towards(directions, in_plane)


def random_clusters(
    count: int, concentrations: tuple[float, float], shares: tuple[float, float], generator: torch.Generator
) -> ViewClusters:
    """Clusters with uniform means, concentrations and shares uniform between bounds, shares made to add up; float64."""
    means = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1)
    return clusters_about(means, concentrations, shares, generator)


def clusters_about(
    means: Float[Tensor, "*b c 3"],
    concentrations: tuple[float, float],
    shares: tuple[float, float],
    generator: torch.Generator,
) -> ViewClusters:
    """Clusters with given means, the rest as in ``random_clusters``."""
    drawn = torch.rand(2, *means.shape[:-1], generator=generator, dtype=means.dtype)
    kappa, parts = (
        least + (most - least) * each for (least, most), each in zip((concentrations, shares), drawn, strict=True)
    )
    return ViewClusters(means, kappa, parts / parts.sum(-1, keepdim=True))


def _towards(directions: Float[Tensor, "n 3"], in_plane: Float[Tensor, " n"] | None = None) -> Float[Tensor, "n 3 3"]:
    """Rotations whose third rows are these directions; in-plane angles in degrees."""
    x, y, z = directions.unbind(-1)
    angles = [torch.rad2deg(torch.atan2(y, x)), torch.rad2deg(torch.atan2(torch.hypot(x, y), z))]
    return euler_to_matrix(torch.stack([*angles, torch.zeros_like(x) if in_plane is None else in_plane], -1))
