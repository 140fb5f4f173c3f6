"""Moments of images for chapters 2 and 3 of Paul (2024): from simulated images, or as the thesis makes its data.

Truths are protein kinase A in place of EMD-0409, a ribosome in place of EMD-25892, and four Gaussians, scaled to norm
1 as maps of the images' box. Images are seen from eight clusters of views at uniform in-plane angles, each pose drawn
by itself, shifted, with white noise of standard deviation 0.5 a pixel; they are drawn and forgotten a batch at a time,
on the frequencies that are used. The thesis takes as truth a network fitted to the map; in its way, here, that
network's moments are taken on the very nodes that are used to invert them, without noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from importlib import resources
from operator import add

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.seeds import generator_for
from cryorbit.fourier.half_disc import HalfDisc, half_disc
from cryorbit.imaging.observations import observe
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.transfer import Transfer
from cryorbit.io.mrc import read_map
from cryorbit.moments.empirical import MomentSums
from cryorbit.moments.learner import Learner
from cryorbit.moments.polar import PolarDesign, PolarMoments
from cryorbit.moments.training import Schedule
from cryorbit.simulate.phantoms import Blobs, blob_volume
from cryorbit.studies.paul2024.mom_net.network import MomNet, Setting, make_mom_net, root_power
from cryorbit.studies.paul2024.mom_net.training import STEEPEST
from cryorbit.studies.paul2024.mom_net.view_clusters import ViewClusters, random_clusters
from cryorbit.volumes.bessel_voxels import from_voxels
from cryorbit.volumes.spherical_bessel import SphericalBessel, resolved_basis
from cryorbit.volumes.voxel import resample

BOX = 32
"""Voxels of a truth."""
SIGMA = 0.5
CLUSTERS, CONCENTRATIONS, SHARES, CLUSTERS_SEED = 8, (5.0, 20.0), (0.5, 1.5), 8
"""Views: means, concentrations and shares are not published."""
EXTENT, MARGIN = 0.45, 0.5
"""What images are fitted by: extent, parts of the box, and Fourier pixels beyond the largest radius."""
BATCH = 2000
TRUTH_RATES = (1e-3, 1e-5)


@dataclass(frozen=True, slots=True)
class Truth:
    """A map, and its expansion in the spherical Bessel basis; made by ``of``.

    Attributes
    ----------
    name
        In tables.
    volume
        Map ``[z, y, x]``, float64.
    pixel_size
        Of the map, A.
    basis, coefficients
        The expansion, for all radii that are used.
    """

    name: str
    volume: Float[Tensor, "n n n"]
    pixel_size: float
    basis: SphericalBessel
    coefficients: Float[Tensor, " d"]

    @classmethod
    def of(cls, name: str, volume: Float[Tensor, "n n n"], pixel_size: float, radius: float) -> Truth:
        """The truth of a map, for frequencies up to ``radius`` Fourier pixels."""
        basis = resolved_basis(radius + 2 * MARGIN, EXTENT)
        return cls(name, volume, pixel_size, basis, from_voxels(basis, volume))

    def coefficients_in(self, box: int) -> Float[Tensor, " d"]:
        """The coefficients, scaled so that the map has norm 1 on ``box`` voxels a side."""
        return self.coefficients * math.sqrt(box / (BOX * float(self.volume.square().sum())))


@dataclass(frozen=True, slots=True)
class Images:
    """What is simulated.

    Attributes
    ----------
    box
        Pixels along a side.
    count
        Number of images.
    eta
        Standard deviation of the shifts along each axis, pixels.
    seed
        Of poses, shifts and noise.
    """

    box: int
    count: int
    eta: float
    seed: int


def shipped_map(file: str) -> tuple[Float[Tensor, "n n n"], float]:
    """A map that comes with the package in the box of the truths, float64, and its pixel size there."""
    with resources.as_file(resources.files("cryorbit") / "data" / file) as path:
        volume, pixel_size = read_map(path)
    return resample(volume.double(), BOX), pixel_size * volume.shape[-1] / BOX


def kinase(radius: float) -> Truth:
    """Protein kinase A, in place of EMD-0409."""
    return Truth.of("protein kinase A", *shipped_map("pka_1atp.mrc"), radius)


def ribosome(radius: float) -> Truth:
    """A ribosome, in place of EMD-25892."""
    return Truth.of("ribosome", *shipped_map("ribosome_70S.mrc"), radius)


def four_gaussians(radius: float) -> Truth:
    """Four Gaussians not in one plane, in a box of 25 A; their parameters are not published."""
    centers = 5.0 * torch.tensor([[1, 0, -0.4], [-0.6, 0.9, -0.3], [-0.5, -0.8, -0.2], [0.1, 0.1, 0.9]]).double()
    widths, heights = torch.full((4,), 1.9).double(), torch.tensor([1.0, 0.8, 1.2, 0.9]).double()
    return Truth.of("four Gaussians", blob_volume(Blobs(centers, widths, heights), BOX).double(), 25 / BOX, radius)


def eight_clusters() -> ViewClusters:
    """The density of views."""
    return random_clusters(CLUSTERS, CONCENTRATIONS, SHARES, generator_for(CLUSTERS_SEED, "paul2024 view clusters"))


def image_moments(truth: Truth, images: Images, setting: Setting, progress: Progress) -> PolarMoments:
    """Polar moments estimated from simulated images, a batch of one, float32.

    Raises
    ------
    Stopped
        The run was asked to stop.
    """
    radii = setting.slices.radii.double()
    radius = float(radii.max())
    disc, views = half_disc(images.box, radius + MARGIN), eight_clusters()
    coefficients = truth.coefficients_in(images.box)
    parts = list(chunks(images.count, BATCH))
    progress.start(len(parts), f"images of {truth.name}")

    def sums_of(number: int) -> MomentSums:
        if progress.stop_requested():
            raise Stopped
        progress.advance()
        generator = generator_for(images.seed, "paul2024 images for moments", number)
        count = parts[number].stop - parts[number].start
        clean = truth.basis.evaluate(
            truth.basis.rotate(coefficients, views.draw_poses(count, generator)),
            torch.nn.functional.pad(disc.frequencies.double(), (0, 1)),
        )
        return _noisy_sums(clean, images, disc, generator)

    sums = reduce(add, map(sums_of, range(len(parts))))
    design = PolarDesign.of(disc, resolved_basis(radius + 2 * MARGIN, EXTENT, setting.slices.orders), radii)
    return design.average(sums.moments()).map(lambda each: each.float()[None])


def _noisy_sums(
    clean: Complex[Tensor, "n p"], images: Images, disc: HalfDisc, generator: torch.Generator
) -> MomentSums:
    """Sums over images, shifted and with noise."""
    shifts = images.eta * torch.randn(len(clean), 2, generator=generator)
    seen = clean.to(torch.complex64) * shift_phases(-shifts, disc)
    noise = torch.randn(seen.shape, generator=generator, dtype=seen.dtype)
    ones = torch.ones(len(disc))
    return MomentSums.of_images(observe(seen + SIGMA * noise, Transfer(ones.expand(len(seen), -1)), SIGMA**2 * ones))


def exact_moments(truth: Truth, box: int, setting: Setting) -> PolarMoments:
    """Moments of centred images on the setting's nodes, without noise, a batch of one, float32."""
    slices = setting.slices
    values = truth.basis.evaluate(truth.coefficients_in(box), slices.points.double().flatten(0, 2))
    components = slices.components(values.to(torch.complex64).unflatten(0, slices.points.shape[:3]))
    return slices.moments(components[None], setting.weights(view_logits(setting)))


def neural_moments(truth: Truth, images: Images, setting: Setting, schedule: Schedule) -> tuple[PolarMoments, float]:
    """Moments of a FourierNet that was fitted to the truth, on the setting's nodes; and the error of that fit.

    The spread of shifts is that of ``images``, and there is no noise.
    """
    moments = exact_moments(truth, images.box, setting)
    network, error = _neural_truth(truth, moments, images.box, setting, schedule)
    with torch.no_grad():
        values = network.refinement(setting.slices.points) * root_power(moments)
        components = setting.slices.components(values)
        unblurred = setting.slices.moments(components[None], setting.weights(view_logits(setting)))
    return unblurred.blurred(setting.pixel_radii, torch.full((1,), images.eta)), error


def view_logits(setting: Setting) -> Float[Tensor, "1 t"]:
    """Logarithm of the density of views at the setting's nodes."""
    return eight_clusters().log_density(setting.slices.directions.double()).float()[None]


def _neural_truth(
    truth: Truth, moments: PolarMoments, box: int, setting: Setting, schedule: Schedule
) -> tuple[MomNet, float]:
    """The framework of chapter 2 with a FourierNet fitted to the truth, and the relative error of that."""
    alone = Setting.of(setting.slices, None, box, 0.0)
    learner = Learner.begin(network := make_mom_net(alone, schedule.seed), STEEPEST)
    points = half_ball(int(setting.slices.radii.max())).float()
    target = truth.basis.evaluate(truth.coefficients_in(box), points.double()).to(torch.complex64)

    def error() -> Float[Tensor, ""]:
        return (network.transform(moments, points) - target).norm() / target.norm()

    while learner.step < schedule.steps:
        learner.descend(error(), schedule.rate_at(learner.step))
    return network, float(error().detach())


def half_ball(radius: int) -> Float[Tensor, "p 3"]:
    """Integer frequencies ``(x, y, z)`` of the half space x >= 0 up to ``radius``, without the origin; float64."""
    axis = torch.arange(-radius, radius + 1, dtype=torch.float64)
    points = torch.cartesian_prod(axis[axis >= 0], axis, axis)
    lengths = points.norm(dim=1)
    return points[(lengths <= radius) & (lengths > 0)]
