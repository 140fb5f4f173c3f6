"""What first and second moments alone tell of a volume, if they are exact and the density of poses is known.

    python benchmarks/two_moments.py --output benchmarks/results/two_moments.json

The volume is a phantom of 14 Gaussians in the spherical Bessel basis. Counted are the combinations of its coefficients
that change the moments by more than a part of their norm when they change by the root mean square coefficient: singular
values of the derivative. With in-plane angles averaged the moments are those of `polar`; else they are those of whole
slices on rings, seen from a density that depends on the in-plane angle, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cyclopts
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.api.devices import limit_threads
from cryorbit.geometry.harmonics import real_harmonics
from cryorbit.geometry.sphere_quadrature import LEBEDEV_DEGREES, lebedev
from cryorbit.moments.analytic import second_moment_rule, slice_moments
from cryorbit.moments.bessel_model import BesselModel
from cryorbit.moments.determinacy import derivatives
from cryorbit.moments.fit import Residuals
from cryorbit.moments.view_density import ViewDensity
from cryorbit.simulate.phantoms import random_blob_phantom
from cryorbit.volumes.bessel_voxels import from_voxels
from cryorbit.volumes.spherical_bessel import SphericalBessel, resolved_basis
from tables import Row, save, show

BOX, EXTENT = 32, 0.36
"""Box of the phantom, pixels, and radius of the ball that it fills, parts of the box."""
DENSITY_DEGREE, DENSITY_SPREAD = 2, 0.5
"""Degree of the log-density, and standard deviation of its coefficients."""
LEVELS = (1e-2, 1e-3, 1e-4, 1e-6)


@dataclass(frozen=True, slots=True)
class Problem:
    """A volume in a basis, and the radii, Fourier pixels, on which its slices are seen."""

    basis: SphericalBessel
    volume: Float[Tensor, " b"]
    radii: Float[Tensor, " k"]


def main(*, sizes: tuple[tuple[int, int], ...] = ((2, 6), (4, 8)), seed: int = 0, output: Path | None = None) -> None:
    """Count for volumes of each degree and largest radius, Fourier pixels."""
    limit_threads(1)
    rows = [counted(size, density, seed) for size in sizes for density in DENSITIES]
    show("Combinations of coefficients that change the moments by more than a part of their norm", rows)
    save(output, "two_moments", {"seed": seed, "rows": rows})


def counted(size: tuple[int, int], density: str, seed: int) -> Row:
    """The counts for one density of poses."""
    degree, radius = size
    basis = resolved_basis(radius + 0.5, EXTENT, degree)
    phantom = random_blob_phantom(BOX, torch.Generator().manual_seed(seed), 14).double()
    problem = Problem(basis, from_voxels(basis, phantom), torch.arange(1.0, radius + 1, dtype=torch.float64))
    moments = DENSITIES[density](problem, torch.Generator().manual_seed(seed))
    jacobian = derivatives(moments, problem.volume) * problem.volume.square().mean().sqrt()
    values = torch.linalg.svdvals(jacobian)
    counts = {f"{level:g}": int((values > level).sum()) for level in LEVELS}
    return {"L, Fourier pixels": f"{degree}, {radius}", "coefficients": basis.size, "density": density, **counts}


def of_views(problem: Problem, generator: torch.Generator, spread: float = DENSITY_SPREAD) -> Residuals:
    """Moments over their norms, in-plane angles even: those of all frequencies of the plane, however close."""
    family = ViewDensity.of(DENSITY_DEGREE, 2 * problem.basis.degree + DENSITY_DEGREE)
    model = BesselModel.of(problem.basis, family, problem.radii)
    weights = family.weights(spread * torch.randn(family.size, generator=generator, dtype=torch.float64))
    root = problem.radii.sqrt()
    # waves have a mean square of a half, but for order 0
    parity = torch.full((problem.basis.degree + 1, 1, 1), math.sqrt(0.5), dtype=torch.float64)
    parity[0] = 1.0
    plane = parity * root[:, None] * root

    def moments(volume: Float[Tensor, " b"]) -> Float[Tensor, " m"]:
        seen = model.moments(volume, weights)
        return torch.cat([seen.first * root, (torch.cat([seen.cosines, seen.sines]) * plane.repeat(2, 1, 1)).flatten()])

    return _over_norms(moments, len(root), problem.volume)


def of_even_views(problem: Problem, generator: torch.Generator) -> Residuals:
    """The same from even views."""
    return of_views(problem, generator, 0.0)


def of_poses(problem: Problem, generator: torch.Generator) -> Residuals:
    """Moments over their norms from a density of views times one of in-plane angles."""
    rule = second_moment_rule(problem.basis.degree, DENSITY_DEGREE)
    sphere = lebedev(next(d for d in LEBEDEV_DEGREES if d >= 2 * problem.basis.degree + DENSITY_DEGREE))
    in_plane = len(rule) // len(sphere)
    harmonics = real_harmonics(sphere.directions, DENSITY_DEGREE)[:, 1:]
    draw = torch.randn(harmonics.shape[1] + 2, generator=generator, dtype=torch.float64) * DENSITY_SPREAD
    angles = torch.arange(in_plane, dtype=torch.float64) * (2 * math.pi / in_plane)
    turned = torch.stack([angles.cos(), angles.sin()], 1) @ draw[-2:]
    weights = ((harmonics @ draw[:-2])[:, None] + turned).flatten().exp() * rule.weights
    ring = torch.arange(2 * problem.basis.degree + 2, dtype=torch.float64) * (math.pi / (2 * problem.basis.degree + 2))
    plane = torch.stack([ring.cos(), ring.sin(), 0 * ring], -1)
    points = (problem.radii[:, None, None] * plane).flatten(0, 1)
    functions, odd = problem.basis.functions(points), problem.basis.odd(points)
    parts = torch.stack([torch.where(odd[:, None], 0.0, functions), torch.where(odd[:, None], functions, 0.0)], 1)
    root = problem.radii.sqrt().repeat_interleave(len(ring)).repeat(2)

    def moments(volume: Float[Tensor, " b"]) -> Float[Tensor, " m"]:
        slices = problem.basis.rotate(volume, rule.rotations) @ parts.flatten(1)
        seen = slice_moments(slices * root, weights / weights.sum())
        return torch.cat([seen.first, seen.second.flatten()])

    return _over_norms(moments, len(root), problem.volume)


def _over_norms(moments: Residuals, first: int, volume: Float[Tensor, " b"]) -> Residuals:
    """First and second moments, each over its norm at the volume."""
    norms = [part.norm() for part in moments(volume).tensor_split([first])]

    def relative(other: Float[Tensor, " b"]) -> Float[Tensor, " m"]:
        return torch.cat([part / norm for part, norm in zip(moments(other).tensor_split([first]), norms, strict=True)])

    return relative


DENSITIES: dict[str, Callable[[Problem, torch.Generator], Residuals]] = {
    "views only, even": of_even_views,
    "views only": of_views,
    "views and in-plane angles": of_poses,
}


if __name__ == "__main__":
    cyclopts.run(main)
