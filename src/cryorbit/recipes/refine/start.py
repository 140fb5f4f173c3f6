"""Stage "start": the given maps on the particles' grid, filtered, in the grey scale of the images, and looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Complex, Float
from scipy import ndimage
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.phase_randomisation import randomise_phases
from cryorbit.evaluation.radial_filter import apply_gain, low_pass, with_spectrum_of
from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.constraints import background_level
from cryorbit.inference.global_search import coarse_grid, resolvable_radius
from cryorbit.inference.grey_scale import explained_scale
from cryorbit.inference.marginal import pose_posterior
from cryorbit.inference.pose_grid import grid_slices
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.map_grid import read_onto
from cryorbit.recipes.masks import require_on_density
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.masking import supplied_mask
from cryorbit.recipes.refine.radii import largest_radius
from cryorbit.recipes.refine.rivals import refuse_same
from cryorbit.recipes.refine.start_symmetry import on_axes
from cryorbit.recipes.refine.state import RefineState, StartFindings
from cryorbit.volumes.voxel import resample, working_grid

SAMPLE = 300
"""Images that judge the start maps."""
SCALES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""Grey scales that are tried, around the one that explains the power of the images."""
MAGNIFICATIONS = (0.85, 0.9, 0.95, 1.05, 1.1, 1.15)
RANDOM_MAPS = 8
UNLIKE_RANDOM = 2.5
"""Standard errors by which a map must beat random ones to count as better, wherever that is asked: with the spread of
eight random maps one in fifty of them would (Student's t), and a correct map of a round particle, low-passed, is only
3.5 ahead."""
SURELY_BETTER = 4.0
"""Standard errors by which another magnification must fit better. The images are the same, so that only they make an
error: one in thirty thousand maps would be called magnified by chance, and six are tried. The same goes for the map
with its contrast inverted."""


@dataclass(frozen=True, slots=True)
class _Judge:
    """A sample of images, and the grid of poses under which maps are compared (one rotation of each pair)."""

    observations: Observations
    fronts: Float[Tensor, "1 r 3 3"]
    shifts: Float[Tensor, "t 2"]
    box: int
    radius: float

    def log_evidence(self, volume: Float[Tensor, "m m m"]) -> Float[Tensor, " b"]:
        """Log-likelihood of every image under a map, relative to pure noise."""
        slices = self._slices(volume)
        phases = shift_phases(self.shifts, half_disc(self.box, self.radius).to(volume.device))
        views = 2 * len(slices)
        prior = torch.full((views,), -math.log(views * len(phases))).to(slices.real)
        return pose_posterior(self.observations, slices, phases, prior).log_evidence.double()

    def explained_scale(self, volume: Float[Tensor, "m m m"]) -> float:
        """Factor on a map's grey values that explains the power of the images."""
        return explained_scale(self.observations, self._slices(volume))

    def _slices(self, volume: Float[Tensor, "m m m"]) -> Complex[Tensor, "r p"]:
        grid = working_grid(self.box, self.radius)
        disc = half_disc(self.box, self.radius).to(volume.device)
        return grid_slices(grid.model(resample(volume[None], grid.size)), self.fronts, disc)


def begin(config: RefineConfig, dataset: Dataset) -> RefineState:
    """The first state: start maps on the particles' grid and axes, low-passed and scaled, and shown by the images.

    Raises
    ------
    InputError
        The mask or a map cannot be used, the mask leaves out what the maps show, or a map fits the images no better
        than noise of the same spectrum, or clearly better inverted or at another magnification, or has not the
        symmetry.
    """
    # used after the first pass only; a mistake is told before
    mask = supplied_mask(config, dataset)
    radius = min(
        dataset.extent / config.initial_resolution, largest_radius(config, dataset.box, dataset.source.pixel_size)
    )
    size = working_grid(dataset.box, radius).size
    judge = _judge(config, dataset, radius)
    volumes, findings, notes = [], [], []
    for path in config.maps:
        density, fitted = read_onto(path, dataset.box, dataset.source.pixel_size)
        # twice as fine as need be: a map is magnified by interpolation
        level = background_level(density[None], dataset.window(dataset.box).to(density))[0]
        fine = resample(density - level, min(2 * size, dataset.box))
        density, turned = on_axes(fine, config, dataset, path)
        notes += [f"Start map {sentence}" for sentence in (fitted, turned) if sentence is not None]
        volume = in_window(filtered(density, dataset.extent, config.initial_resolution), dataset, size)
        volume = volume * best_scale(judge, volume)
        others = {m: in_window(magnified(density, m), dataset, size) for m in MAGNIFICATIONS}
        finding = what_images_say(judge, volume, others, random_maps(volume, dataset.window(size), config.seed))
        if config.check_start:
            refuse_bad_start(finding, path)
        findings.append(finding)
        volumes.append(volume)
    refuse_same(volumes, config.maps)
    if mask is not None:
        # band-limited resampling overshoots at the edge of the mask
        require_on_density(resample(mask, size).clamp(0, 1), torch.stack(volumes).mean(0).cpu(), None, config.mask)
    references = torch.stack(volumes).expand(2, -1, -1, -1, -1).clone()
    noise = dataset.noise_variance.expand(2, -1).clone()
    stage = "pass" if config.method == "em" else "sgd"
    return RefineState(stage, 0, references, noise, radius, starts=tuple(findings), start_notes=tuple(notes))


def filtered(density: Float[Tensor, "n n n"], extent: float, resolution: float) -> Float[Tensor, "n n n"]:
    """The density of a box of ``extent`` A, low-passed at a resolution in A."""
    box = density.shape[0]
    return apply_gain(density, low_pass(box, extent / box, resolution))


def in_window(density: Float[Tensor, "n n n"], dataset: Dataset, size: int) -> Float[Tensor, "m m m"]:
    """The density on a working box of ``size`` voxels, within the window."""
    window = dataset.window(size)
    return resample(density, size).to(window) * window


def best_scale(judge: _Judge, volume: Float[Tensor, "m m m"]) -> float:
    """Factor on a map's grey values under which the images are most likely."""
    middle = judge.explained_scale(volume)
    scales = [middle * factor for factor in SCALES]
    return max(scales, key=lambda scale: float(judge.log_evidence(scale * volume).mean()))


def random_maps(
    volume: Float[Tensor, "m m m"], window: Float[Tensor, "m m m"], seed: int
) -> list[Float[Tensor, "m m m"]]:
    """Maps of the same spectrum, extent and centre (the phases of the first shell are kept) with random phases."""
    generators = [generator_for(seed, "random start map", n) for n in range(RANDOM_MAPS)]
    return [randomise_phases(volume, 2, generator) * window for generator in generators]


def what_images_say(
    judge: _Judge,
    volume: Float[Tensor, "m m m"],
    others: dict[float, Float[Tensor, "m m m"]],
    random: list[Float[Tensor, "m m m"]],
) -> StartFindings:
    """What a sample of the images says of a start map.

    ``others`` are the map at other magnifications, ``random`` maps that only look like it. All are given the spectrum
    of the map: one whose amplitudes fall off too early would fit better when it is made smaller, whatever its size.

    No image tells a map from its mirror image: a wrong hand cannot be found here. A map is inverted if it fits clearly
    better so, and then better than inverted random maps.
    """
    evidence = judge.log_evidence(volume)

    def at_equal_spectrum(other: Float[Tensor, "m m m"]) -> Float[Tensor, " b"]:
        return judge.log_evidence(with_spectrum_of(other, volume))

    better = {m: lead(at_equal_spectrum(other), evidence) for m, other in others.items()}
    best = max(better, key=lambda m: better[m])
    by_chance = [with_spectrum_of(other, volume) for other in random]
    inverse = judge.log_evidence(-volume)
    inverted = lead(inverse, evidence) > SURELY_BETTER and (
        # noise, too, fits better one way round than the other
        _lead_over_all(inverse, torch.stack([judge.log_evidence(-other) for other in by_chance])) >= UNLIKE_RANDOM
    )
    return StartFindings(
        log_likelihood=float(evidence.mean()),
        lead_over_noise=_lead_over_all(evidence, torch.stack([judge.log_evidence(other) for other in by_chance])),
        inverted=float(inverted),
        magnification=best if better[best] > SURELY_BETTER else 1.0,
    )


def is_shown(finding: StartFindings) -> bool:
    """Whether the images show the start map rather than any map of its spectrum."""
    return finding.lead_over_noise >= UNLIKE_RANDOM


def refuse_bad_start(finding: StartFindings, path: Path) -> None:
    """Raise ``InputError`` if the images do not show the start map, or show it inverted or at another magnification."""
    if finding.inverted:
        raise InputError(
            "the map is dark: the images fit it better when its contrast is inverted",
            file=path,
            fix="multiply the grey values of the map by -1, so that protein is white; "
            "if it is, the contrast of the images was taken wrongly: give --invert-contrast or --no-invert",
        )
    if not is_shown(finding):
        raise InputError(
            "the images fit the map no better than a random map of the same spectrum",
            file=path,
            fix="give a map of this particle, for example one made by `cryorbit abinit`; "
            "if you know better, use --no-check-start",
        )
    if finding.magnification != 1:
        raise InputError(
            f"the images fit the map better when it is magnified {finding.magnification:g} times",
            file=path,
            fix="check the pixel sizes of the map and of the particles; if they are right, use --no-check-start",
        )


def magnified(volume: Float[Tensor, "m m m"], factor: float) -> Float[Tensor, "m m m"]:
    """The map with all distances from the centre multiplied by ``factor``."""
    centre = volume.shape[-1] // 2
    zoomed = ndimage.affine_transform(
        volume.cpu().double().numpy(), [1 / factor] * 3, offset=centre * (1 - 1 / factor), order=3
    )
    return torch.from_numpy(zoomed).to(volume)


def lead(a: Float[Tensor, " b"], b: Float[Tensor, " b"]) -> float:
    """Standard errors by which the mean of ``a`` exceeds that of ``b``, image by image."""
    difference = a - b
    # maps that are the same lead by nothing
    return float(difference.mean() / (difference.std() / math.sqrt(len(difference))).clamp_min(1e-12))


def _lead_over_all(evidence: Float[Tensor, " b"], others: Float[Tensor, "r b"]) -> float:
    """Standard errors by which a map is better than what random maps reach, their spread included.

    A random map is better than others by chance, and many images make that chance look certain.
    """
    difference = evidence - others.mean(0)
    of_images = difference.var() / len(difference)
    of_maps = others.mean(1).var() * (1 + 1 / len(others))
    return float(difference.mean() / torch.sqrt(of_images + of_maps).clamp_min(1e-12))


def _judge(config: RefineConfig, dataset: Dataset, radius: float) -> _Judge:
    spacing = config.poses.angular_spacing
    radius = min(radius, resolvable_radius(spacing, dataset.diameter_px, dataset.box))
    disc = half_disc(dataset.box, radius).to(dataset.source.device)
    index = torch.linspace(0, len(dataset.source) - 1, min(SAMPLE, len(dataset.source))).round().long()
    observations = dataset.source.observe(index, disc, dataset.noise_variance)
    shifts = disc_grid(config.poses.shift_range * dataset.box, dataset.box / (4 * radius)).to(observations.power)
    fronts = coarse_grid(spacing, 1, observations.power)[:, ::2]
    return _Judge(observations, fronts, shifts, dataset.box, radius)
