"""The post-processing job: mask, resolution, sharpening, local resolution, directions, files."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.progress import Progress, Stopped
from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.conical_fsc import conical_fsc
from cryorbit.evaluation.corrected_fsc import HalfMapFSC, corrected_fsc
from cryorbit.evaluation.half_map_frames import misplacement
from cryorbit.evaluation.half_map_mask import half_map_mask
from cryorbit.evaluation.local_filter import filter_locally
from cryorbit.evaluation.local_resolution import WINDOW_PER_RESOLUTION, local_resolution
from cryorbit.evaluation.mask_placement import leaves_out
from cryorbit.evaluation.masked_before import masked_before
from cryorbit.evaluation.sharpening import fit_b_factor, sharpen, signal_weights
from cryorbit.evaluation.view_sampling import view_sampling
from cryorbit.geometry.point_groups import point_group
from cryorbit.inference.copies import copies_agreement
from cryorbit.io.job_folder import JobFolder
from cryorbit.recipes.postprocess.analysis import HalfMapAnalysis, Sharpened
from cryorbit.recipes.postprocess.config import PostprocessConfig
from cryorbit.recipes.postprocess.inputs import PostprocessInput, from_one_map, read_half_maps
from cryorbit.recipes.postprocess.outputs import PostprocessResult, write_outputs

STAGES = 4


def run(config: PostprocessConfig, job: JobFolder, progress: Progress) -> PostprocessResult:
    """Process two half-maps and write the results.

    Raises
    ------
    InputError
        The half-maps, the mask or the particles cannot be used.
    Stopped
        The job was asked to stop; it has no checkpoint, as it takes no time worth one.
    """
    group = point_group(config.symmetry)
    maps = read_half_maps(config)
    for sentence in maps.remarks:
        progress.note(sentence)
    generator = generator_for(config.seed, "phases of post-processing")
    progress.start(STAGES, "post-processing")
    mask, fsc = compare_halves(maps, generator)
    _count(progress, resolution_A=fsc.resolution())
    sharpened = sharpen_map(config, maps, mask, fsc)
    _count(progress)
    window = _window(config, maps, fsc)
    local = local_resolution(maps.half1, maps.half2, mask, maps.pixel_size, window, config.local_threshold, fsc.last)
    filtered = _locally_filtered(maps, sharpened.b_factor, local) if config.local_filter else None
    _count(progress)
    cones = conical_fsc(maps.half1, maps.half2, mask, fsc.last)
    sampling = None if maps.rotations is None else view_sampling(maps.rotations, group, generator)
    _count(progress)
    doubts = () if maps.optics is None else tuple(maps.optics.doubts(fsc.resolution()))
    analysis = HalfMapAnalysis(
        pixel_size=maps.pixel_size,
        mask=mask,
        fsc=fsc,
        sharpened=sharpened,
        local=local,
        filtered=filtered,
        cones=cones,
        sampling=sampling,
        symmetry=_symmetry(config, maps, mask),
        mask_supplied=maps.mask is not None,
        holds_to_A=maps.holds_to_A,
        optics_doubts=doubts,
        misplaced=misplacement(maps.half1, maps.half2),
        mask_misses=maps.mask is not None and leaves_out(maps.mask, maps.half1, maps.half2),
        masked_before=masked_before(maps.half1) or masked_before(maps.half2),
    )
    return write_outputs(job, analysis, from_one_map(config))


def compare_halves(maps: PostprocessInput, generator: torch.Generator) -> tuple[Float[Tensor, "n n n"], HalfMapFSC]:
    """The mask given, or one around the density of the mean of the half-maps, and their correlations within."""
    if maps.mask is not None:
        return maps.mask, corrected_fsc(maps.half1, maps.half2, maps.pixel_size, maps.mask, generator, maps.last)
    halves = torch.stack([maps.half1, maps.half2])
    return half_map_mask(halves.mean(0), halves, maps.pixel_size, generator, last=maps.last)


def sharpen_map(
    config: PostprocessConfig, maps: PostprocessInput, mask: Float[Tensor, "n n n"], fsc: HalfMapFSC
) -> Sharpened:
    """The mean of the half-maps, weighted, sharpened by the given or the fitted B-factor, and low-passed.

    The fit is made inside the mask, where the weights hold; noise in the solvent would make the fall-off look slower.
    Of what was fitted the part beyond its error is applied.
    """
    mean = 0.5 * (maps.half1 + maps.half2)
    weights, resolution = signal_weights(fsc.corrected), config.low_pass or fsc.resolution()
    fit = fit_b_factor(mean * mask, weights, maps.pixel_size, fsc.resolution())
    b_factor = config.b_factor
    if b_factor is None:
        b_factor = 0.0 if fit is None else fit.sure
    volume = sharpen(mean, weights, b_factor, maps.pixel_size, resolution)
    return Sharpened(volume, b_factor, config.b_factor is not None, fit)


def _symmetry(
    config: PostprocessConfig, maps: PostprocessInput, mask: Float[Tensor, "n n n"]
) -> tuple[str, float] | None:
    """The symmetry that was asked for and how far the half-maps have it, within the radius of the mask."""
    group = point_group(config.symmetry)
    if len(group) == 1:
        return None
    places = torch.nonzero(mask > 0.5) - len(mask) // 2
    radius = min(float(places.double().norm(dim=-1).max()), len(mask) / 2 - 1) if len(places) else len(mask) / 2 - 1
    agreement = copies_agreement(maps.half1, maps.half2, group, radius)
    return None if agreement is None else (config.symmetry, agreement)


def _window(config: PostprocessConfig, maps: PostprocessInput, fsc: HalfMapFSC) -> float:
    """Diameter of the window of the local resolution, A; at most half the box."""
    wanted = config.local_window or WINDOW_PER_RESOLUTION * fsc.resolution()
    return min(wanted, 0.5 * maps.half1.shape[-1] * maps.pixel_size)


def _locally_filtered(maps: PostprocessInput, b_factor: float, local: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n"]:
    """The mean of the half-maps, sharpened, and low-passed everywhere at its local resolution."""
    mean = 0.5 * (maps.half1 + maps.half2)
    even = torch.ones(mean.shape[-1] // 2 + 1)
    sharpened = sharpen(mean, even, b_factor, maps.pixel_size, float(local.min()))
    return filter_locally(sharpened, local, maps.pixel_size)


def _count(progress: Progress, **fields: float) -> None:
    """Count a stage; raise ``Stopped`` if somebody asked to stop."""
    progress.advance(**fields)
    if progress.stop_requested():
        raise Stopped
