"""Moments of particle images with CTFs, coloured noise and uniform in-plane angles, against those of their model."""

from pathlib import Path

import torch

from cryorbit.fourier.half_disc import half_disc, image_from_transform
from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.imaging.ctf import ctf_values
from cryorbit.moments.bessel_model import BesselModel
from cryorbit.moments.empirical import MomentSums, add_up
from cryorbit.moments.polar import PolarDesign
from cryorbit.moments.view_density import ViewDensity
from cryorbit.simulate.microscope import Microscope, draw_ctf
from cryorbit.volumes.spherical_bessel import SphericalBessel
from phantom_sets import write_source

BOX, COUNT, PIXEL_SIZE, PARTS = 24, 6400, 4.0, 8
BASIS = SphericalBessel(6.5, (3, 2, 2))
RADII = torch.arange(2.0, 7.0, dtype=torch.float64)
DISC = half_disc(BOX, 6.4)
NOISE = torch.linspace(2.0, 0.5, BOX // 2 + 1)


def test_moments_of_particles_are_those_of_their_model(tmp_path: Path, generator: torch.Generator) -> None:
    density = ViewDensity.of(2, 9)
    coefficients = 30 * torch.randn(BASIS.size, generator=generator, dtype=torch.float64)
    weights = density.weights(torch.randn(density.size, generator=generator, dtype=torch.float64))
    nodes = torch.multinomial(weights, COUNT, replacement=True, generator=generator)
    x, y, z = density.directions[nodes].unbind(1)
    psi = 360 * torch.rand(COUNT, generator=generator, dtype=torch.float64)
    polar = torch.rad2deg(torch.stack([torch.atan2(y, x), torch.atan2(torch.hypot(x, y), z)]))
    turned = BASIS.rotate(coefficients, euler_to_matrix(torch.stack([*polar, psi], 1)))
    plane = torch.nn.functional.pad(DISC.frequencies.double(), (0, 1))
    ctf, _ = draw_ctf(COUNT, Microscope(particles_per_micrograph=5), generator)
    transforms = BASIS.evaluate(turned, plane) * ctf_values(ctf, DISC.frequencies / (BOX * PIXEL_SIZE))
    scale = NOISE[DISC.shells].sqrt()
    noise = torch.complex(*(torch.randn(2, COUNT, len(DISC), generator=generator) * 0.5**0.5)) * scale
    source = write_source(
        tmp_path / "images.mrcs", image_from_transform(transforms + noise, DISC).float(), ctf, PIXEL_SIZE
    )

    sums = [MomentSums.of_images(source.observe(part, DISC, NOISE)) for part in torch.arange(COUNT).chunk(PARTS)]
    design = PolarDesign.of(DISC, BASIS, RADII)
    found = design.average(add_up(sums).moments())
    exact = BesselModel.of(BASIS, density, RADII).moments(coefficients, weights)
    each = [design.average(part.moments()) for part in sums]
    for name in ("first", "cosines"):
        truth, estimate = getattr(exact, name), getattr(found, name)
        parts = torch.stack([getattr(one, name) for one in each])
        error = (parts.var(0).sum() / PARTS).sqrt()
        assert float(error / truth.norm()) < 0.1
        assert float((estimate - truth).norm() / error) < 2
