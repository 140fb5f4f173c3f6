"""Stage "start": the given maps on the particles' grid, filtered, in the grey scale of the images, and looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.phase_randomisation import randomise_phases
from cryorbit.evaluation.radial_filter import apply_gain, low_pass
from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.global_search import coarse_grid, resolvable_radius
from cryorbit.inference.marginal import pose_posterior
from cryorbit.inference.search import grid_slices
from cryorbit.recipes.compare import PIXEL_SIZE_TOLERANCE, read_box
from cryorbit.recipes.particle_input import ParticleInput
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.state import State
from cryorbit.volumes.voxel import resample, working_grid

SAMPLE = 300
"""Images that judge the start maps."""
SCALES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""Grey scales that are tried, around the one that explains the power of the images."""
MAGNIFICATIONS = (0.85, 0.9, 0.95, 1.05, 1.1, 1.15)
SIGNIFICANT = 4.0
"""Standard errors by which a likelihood must be better to count as better."""


@dataclass(frozen=True, slots=True)
class _Judge:
    """A sample of images, and the grid of poses under which maps are compared."""

    observations: Observations
    rotations: Float[Tensor, "1 r 3 3"]
    shifts: Float[Tensor, "t 2"]
    box: int
    radius: float

    def log_evidence(self, volume: Float[Tensor, "m m m"]) -> Float[Tensor, " b"]:
        """Log-likelihood of every image under a map, relative to pure noise."""
        grid = working_grid(self.box, self.radius)
        disc = half_disc(self.box, self.radius).to(volume.device)
        slices = grid_slices(resample(volume[None], grid.size), self.rotations, disc, grid)
        phases = shift_phases(self.shifts, disc)
        prior = torch.full_like(slices.real[:, 0], -math.log(len(slices) * len(phases)))
        return pose_posterior(self.observations, slices, phases, prior).log_evidence.double()


def begin(config: RefineConfig, given: ParticleInput) -> State:
    """The first state: start maps low-passed and scaled; refuses maps that the images do not show.

    Raises
    ------
    InputError
        A map cannot be used, or fits the images no better than noise of the same spectrum, or clearly better at
        another magnification.
    """
    radius = min(given.extent / config.initial_resolution, given.box / 2 - 1)
    size = working_grid(given.box, radius).size
    window = given.window(size)
    judge = _judge(config, given, radius)
    volumes, findings = [], []
    for path in config.maps:
        volume = resample(start_map(path, given, config.initial_resolution), size).to(window) * window
        volume = volume * best_scale(judge, volume)
        if config.check_start:
            findings.append(check_start(judge, volume, path, config.seed))
        volumes.append(volume)
    references = torch.stack(volumes).expand(2, -1, -1, -1, -1).clone()
    noise = given.noise_variance.expand(2, -1).clone()
    stage = "pass" if config.method == "em" else "sgd"
    return State(stage, 0, references, noise, radius, extra={"start": findings})


def start_map(path: Path, given: ParticleInput, resolution: float) -> Float[Tensor, "n n n"]:
    """A start map on the grid of the particles, low-passed; ``InputError`` if it shows another field of view."""
    volume, pixel_size = read_box(path)
    extent = volume.shape[0] * pixel_size
    if abs(extent / given.extent - 1) > PIXEL_SIZE_TOLERANCE:
        raise InputError(
            f"the map has {volume.shape[0]} voxels of {pixel_size:.4g} A, "
            f"the images {given.box} pixels of {given.source.pixel_size:.4g} A",
            file=path,
            mend=f"resample it to {given.box} voxels of {given.source.pixel_size:.4g} A",
        )
    fitted = resample(volume.float(), given.box)
    return apply_gain(fitted, low_pass(given.box, given.source.pixel_size, resolution))


def best_scale(judge: _Judge, volume: Float[Tensor, "m m m"]) -> float:
    """Factor on a map's grey values under which the images are most likely."""
    grid = working_grid(judge.box, judge.radius)
    disc = half_disc(judge.box, judge.radius).to(volume.device)
    slices = grid_slices(resample(volume[None], grid.size), judge.rotations, disc, grid)
    observed = judge.observations
    # in whitened units: image power is 2 |x|^2 / s, of which noise alone gives 2
    excess = max(float((observed.power - 2).mean()), 0.02)
    middle = math.sqrt(excess / float((observed.weight.mean(0) * (slices.abs() ** 2).mean(0)).mean()))
    scales = [middle * factor for factor in SCALES]
    return max(scales, key=lambda scale: float(judge.log_evidence(scale * volume).mean()))


def check_start(judge: _Judge, volume: Float[Tensor, "m m m"], path: Path, seed: int) -> dict[str, float]:
    """What the images say of a start map; raises ``InputError`` if they do not show it.

    Returns the log-likelihood per image (nats), and how many standard errors it lies above that of maps of the same
    spectrum with random phases. No image tells a map from its mirror image: a wrong hand cannot be found here.
    """
    own = judge.log_evidence(volume)
    noise = [judge.log_evidence(randomise_phases(volume, 1, generator_for(seed, 11, n))) for n in range(3)]
    lead = min(_lead(own, other) for other in noise)
    if lead < SIGNIFICANT:
        raise InputError(
            "the images fit the map no better than a random map of the same spectrum",
            file=path,
            mend="give a map of this particle, for example one made by `cryorbit abinit`; "
            "if you know better, use --no-check-start",
        )
    better = {m: _lead(judge.log_evidence(magnified(volume, m)), own) for m in MAGNIFICATIONS}
    best = max(better, key=lambda m: better[m])
    if better[best] > SIGNIFICANT:
        raise InputError(
            f"the images fit the map better when it is magnified {best:g} times",
            file=path,
            mend="check the pixel sizes of the map and of the particles; if they are right, use --no-check-start",
        )
    return {"log_likelihood": float(own.mean()), "lead_over_noise": lead}


def magnified(volume: Float[Tensor, "m m m"], factor: float) -> Float[Tensor, "m m m"]:
    """The map with all distances from the centre multiplied by ``factor``."""
    centre = volume.shape[-1] // 2
    zoomed = ndimage.affine_transform(
        volume.cpu().double().numpy(), [1 / factor] * 3, offset=centre * (1 - 1 / factor), order=3
    )
    return torch.from_numpy(zoomed).to(volume)


def _lead(a: Float[Tensor, " b"], b: Float[Tensor, " b"]) -> float:
    """Standard errors by which the mean of ``a`` exceeds that of ``b``, image by image."""
    difference = a - b
    return float(difference.mean() / (difference.std() / math.sqrt(len(difference))).clamp_min(1e-12))


def _judge(config: RefineConfig, given: ParticleInput, radius: float) -> _Judge:
    spacing = config.poses.angular_spacing
    radius = min(radius, resolvable_radius(spacing, given.diameter_px, given.box))
    disc = half_disc(given.box, radius).to(given.source.device)
    index = torch.linspace(0, len(given.source) - 1, min(SAMPLE, len(given.source))).round().long()
    observations = given.source.observe(index, disc, given.noise_variance)
    shifts = disc_grid(config.poses.shift_range * given.box, given.box / (4 * radius)).to(observations.power)
    return _Judge(observations, coarse_grid(spacing, 1, observations.power), shifts, given.box, radius)
