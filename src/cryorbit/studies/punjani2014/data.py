"""Data of Punjani & Brubaker (2014), section 4, simulated at the resolution that is scored.

Two particles in images of 128 pixels of 2.8 A: a density made by hand with the strong cylindrical shape that the
paper describes, centred, scored to 10 % of Nyquist; and a ribosome in place of the ATP synthase of Thermus, whose
images are not public, off the centre, scored to 16 %. Contrast transfer is that of films at 2 to 6 um of defocus,
noise is white, the signal-to-noise ratio 0.05. Coefficients beyond the scored radius would never be used, so
they are not made: 50,000 images take 130 MB instead of 3.3 GB.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.fourier.half_disc import HalfDisc, half_disc, image_transform
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.observations import Observations, observe
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.transfer import Transfer
from cryorbit.inference.pose_quadrature import ShiftPrior
from cryorbit.inference.priors import DensityPrior
from cryorbit.io.mrc import read_map
from cryorbit.simulate.microscope import Microscope, draw_ctf
from cryorbit.simulate.particles import draw_poses
from cryorbit.simulate.phantoms import Blobs, blob_volume
from cryorbit.simulate.projection import prepare_map, project
from cryorbit.volumes.voxel import resample

BOX, PIXEL_SIZE, SNR = 128, 2.8, 0.05
SMALL_BOX = 32
"""Box in which particles are projected: its Nyquist is beyond every radius that is scored."""
MICROSCOPE = Microscope(defocus_range=(20_000.0, 60_000.0), defocus_spread=0.0)
BATCH = 500
RINGS, IN_RING = 5, 7


@dataclass(frozen=True, slots=True)
class DataSet:
    """One of the two data sets.

    Attributes
    ----------
    name
        Name in tables.
    truth
        Makes the true density in the small box.
    radius
        Fourier radius that is scored, Fourier pixels.
    shift
        Density of the particles' shifts, pixels.
    prior
        Of the density.
    """

    name: str
    truth: Callable[[], Float[Tensor, "n n n"]]
    radius: float
    shift: ShiftPrior
    prior: DensityPrior


def barrel() -> Float[Tensor, "n n n"]:
    """A barrel of five rings of seven blobs with a knob, a gap and a tail: nearly a cylinder, without any symmetry."""
    ring = torch.arange(RINGS, dtype=torch.float64).repeat_interleave(IN_RING)
    turn = 2 * math.pi * torch.arange(IN_RING, dtype=torch.float64).repeat(RINGS) / IN_RING + 0.3 * ring
    wall = torch.stack([4.2 * turn.cos(), 4.2 * turn.sin(), 2.3 * (ring - (RINGS - 1) / 2)], -1)
    extra = torch.tensor([[7.0, 1.0, 3.5], [6.0, 3.0, 4.5], [1.0, 0.5, -7.5], [2.0, 1.5, -9.0]], dtype=torch.float64)
    centers = torch.cat([wall, extra])
    heights = torch.ones(len(centers), dtype=torch.float64)
    heights[:3] = 0.0
    widths = torch.full_like(heights, 1.2)
    return blob_volume(Blobs(centers, widths, heights), SMALL_BOX)


def ribosome() -> Float[Tensor, "n n n"]:
    """The ribosome that comes with the package."""
    file = resources.files("cryorbit") / "data" / "ribosome_70S.mrc"
    with resources.as_file(file) as path:
        volume, _ = read_map(path)
    return resample(volume.float(), SMALL_BOX)


DATA_SETS = (
    DataSet("cylinder", barrel, 0.10 * BOX / 2, ShiftPrior(0.0), DensityPrior(1e-4, 1e-4)),
    DataSet("ribosome", ribosome, 0.16 * BOX / 2, ShiftPrior(1.5), DensityPrior(3e-2, 1e-4)),
)


def simulate(data: DataSet, count: int, generator: torch.Generator) -> tuple[Observations, HalfDisc]:
    """Observations of ``count`` images on the half disc that is scored, with noise of variance 1."""
    disc = half_disc(BOX, data.radius)
    poses = draw_poses(count, data.shift.sigma, generator)
    ctf = ctf_values(draw_ctf(count, MICROSCOPE, generator)[0], disc.frequencies / (BOX * PIXEL_SIZE))
    # the particle is away from the centre by minus the shift that centres it
    moved = ctf * shift_phases(-poses.shifts, disc)
    clean, power = _projections(data, poses.rotations)
    signal = clean * moved * math.sqrt(SNR * BOX**2 / power)
    noise = torch.randn(signal.shape, dtype=signal.dtype, generator=generator)
    return observe(signal + noise, Transfer(ctf), torch.ones(len(disc))), disc


def _projections(data: DataSet, rotations: Float[Tensor, "n 3 3"]) -> tuple[Complex[Tensor, "n p"], float]:
    """Transforms of projections on the half disc, and the mean power of a projection over the plane without the origin.

    Frequencies are counted in the box's own units, so that the disc is that of the large box.
    """
    prepared, disc = prepare_map(data.truth()), half_disc(SMALL_BOX, data.radius)
    transforms, power = [], 0.0
    for part in chunks(len(rotations), BATCH):
        images = project(prepared, rotations[part])
        power += float(images.double().var((1, 2), correction=0).sum()) * SMALL_BOX**2
        transforms.append(image_transform(images, disc))
    return torch.cat(transforms), power / len(rotations)
