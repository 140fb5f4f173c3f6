"""How far a post-processed map can be trusted, in words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from cryorbit.core.readable import percent
from cryorbit.core.verdict import Level, Remark, Verdict, weigh
from cryorbit.evaluation.conical_fsc import ANISOTROPIC
from cryorbit.evaluation.corrected_fsc import COARSEST, LARGEST_BIAS, HalfMapFSC
from cryorbit.evaluation.half_map_frames import Misplacement
from cryorbit.evaluation.sharpening import FIT_FROM_A
from cryorbit.evaluation.view_sampling import BIASED
from cryorbit.inference.copies import SYMMETRIC
from cryorbit.recipes.limits import on_limit
from cryorbit.recipes.masks import LEAVES_OUT, LEAVES_OUT_FIX
from cryorbit.recipes.postprocess.analysis import HalfMapAnalysis, Sharpened

SHARED_POSES = "the half-maps share the poses of one ab initio map: the resolution is an upper bound"
MASKED = "do not trust it: the half-maps were masked before. Fix: give them as they were reconstructed"
MASKED_REASON = "the half-maps are flat around the particle: nothing corrects for the mask that they share"
UNEVEN = "directions are uneven: it is worse in some of them"
LEAST_SHIFT_PX = 0.5
"""Least shift of a half-map that is told, voxels."""
OPTICS = "optics that are not corrected for limit it: read the reasons"


def judge(analysis: HalfMapAnalysis, shared_poses: bool) -> Verdict:
    """Weigh what the half-maps have in common, the mask, the half-maps' origin and the evenness of directions.

    Parameters
    ----------
    analysis
        What was computed.
    shared_poses
        Whether the poses of the two halves came from one map.
    """
    useless = _useless(analysis)
    if useless is not None:
        return weigh([useless], lambda _, problem: problem)
    remarks = [
        _about_mask(analysis),
        Remark("good", "", _about_sharpening(analysis.sharpened)),
        *_about_symmetry(analysis),
        *_about_directions(analysis),
        *([Remark("doubtful", "", SHARED_POSES)] if shared_poses else []),
        *([Remark("bad", MASKED, MASKED_REASON)] if analysis.masked_before else []),
        *(Remark("doubtful", OPTICS, doubt) for doubt in analysis.optics_doubts),
    ]
    return weigh(remarks, partial(_sentence, analysis))


def _useless(analysis: HalfMapAnalysis) -> Remark | None:
    """What makes the resolution of these half-maps no resolution at all."""
    if analysis.misplaced is not None:
        return _about_frames(analysis.misplaced, analysis.pixel_size)
    if analysis.mask_misses:
        return _about_wrong_mask()
    return _about_unrelated(analysis.fsc) if analysis.fsc.unrelated else None


def _sentence(analysis: HalfMapAnalysis, _level: Level, problem: str) -> str:
    """The verdict in words: the resolution, what is wrong with it, and what limits it if not the particles."""
    resolution = f"Resolution {analysis.fsc.resolution():.2f} Å (FSC 0.143 of half-maps, corrected for the mask)"
    limit = on_limit(analysis.fsc, analysis.holds_to_A)
    sentence = f"{resolution}; {problem}." if problem else f"{resolution}."
    return sentence if limit is None else f"{sentence} {limit}"


def _about_frames(misplaced: Misplacement, pixel_size: float) -> Remark:
    """What to say of half-maps that are not in one frame."""
    shift = ", ".join(f"{pixel_size * step:.1f}" for step in misplaced.shift_px)
    motions = [
        *([f"mirrored along {misplaced.mirrored}"] if misplaced.mirrored is not None else []),
        *([f"rotated by {misplaced.angle_deg:.0f} degrees"] if misplaced.angle_deg else []),
        *([f"shifted by ({shift}) A along x, y, z"] if max(map(abs, misplaced.shift_px)) >= LEAST_SHIFT_PX else []),
    ]
    cause = "as one has the other hand" if misplaced.mirrored is not None else "as they are not in one position"
    problem = (
        f"Do not use this map: the half-maps do not belong together, {cause}. Fix: give both as one job wrote them."
    )
    moved = ", then ".join(motions)
    return Remark("bad", problem, f"the second half-map agrees much better with the first when it is {moved}")


def _about_wrong_mask() -> Remark:
    problem = f"Do not use this resolution: {LEAVES_OUT}. Fix: {LEAVES_OUT_FIX}."
    return Remark("bad", problem, "the half-maps have their signal where the mask is 0")


def _about_unrelated(fsc: HalfMapFSC) -> Remark:
    """What to say of half-maps that are not two maps of one thing."""
    coarse = ", ".join(f"{float(value):.2f}" for value in fsc.unmasked[1 : COARSEST + 1])
    if fsc.inverted:
        problem = "Do not use this map: one half-map has the opposite contrast of the other (multiply it by -1)."
    else:
        problem = (
            "Do not use this map: the half-maps have no signal in common. Check that both are of one job, "
            "unmasked and in the same position."
        )
    return Remark("bad", problem, f"correlation in the {COARSEST} coarsest shells: {coarse}")


def _about_symmetry(analysis: HalfMapAnalysis) -> Iterator[Remark]:
    """How far the half-maps have the symmetry that was asked for."""
    if analysis.symmetry is None:
        return
    group, agreement = analysis.symmetry
    copies = f"under {group} the half-maps agree with turned copies of each other by {agreement:.2f} (1: all)"
    if agreement < SYMMETRIC:
        yield Remark("doubtful", f"the map does not have {group} symmetry about its axes", copies)
    else:
        yield Remark("good", "", copies)


def _about_directions(analysis: HalfMapAnalysis) -> Iterator[Remark]:
    """Whether the resolution and the views are alike in all directions."""
    cones, sampling = analysis.cones, analysis.sampling
    areas = f"the smallest area under the FSC is {cones.area_ratio:.2f} of the largest (below {ANISOTROPIC:g}: uneven)"
    yield _even_or_not(f"by direction, {areas}", uneven=cones.anisotropic)
    if sampling is not None:
        spread = (
            f"sampling compensation factor of the views {sampling.factor:.2f} (below {BIASED:g}: uneven), "
            f"{percent(sampling.unsampled)} of the directions unsampled"
        )
        yield _even_or_not(spread, uneven=sampling.biased)


def _even_or_not(reason: str, *, uneven: bool) -> Remark:
    return Remark("doubtful", UNEVEN, reason) if uneven else Remark("good", "", reason)


def _about_mask(analysis: HalfMapAnalysis) -> Remark:
    """Whether the mask makes correlation of its own; one that cryorbit made is corrected for."""
    bias = f"the mask alone makes a correlation of {max(analysis.fsc.mask_bias, 0):.3f} at this resolution"
    if not analysis.fsc.mask_too_tight:
        return Remark("good", "", f"{bias} (up to {LARGEST_BIAS:g} is harmless)")
    if not analysis.mask_supplied:
        return Remark("good", "", f"{bias}, however soft its edge; it has been taken off")
    reason = f"{bias} (above {LARGEST_BIAS:g}): give a wider or softer mask, or leave --mask out"
    return Remark("bad", "do not trust it: the mask is too tight", reason)


def _about_sharpening(sharpened: Sharpened) -> str:
    applied, fit = f"B-factor {sharpened.b_factor:.0f} Å²", sharpened.fit
    if sharpened.is_set:
        return f"{applied}, as given"
    if fit is None:
        return f"not sharpened: a B-factor is fitted from {FIT_FROM_A:g} Å on, where the half-maps hold too little"
    fitted = f"{fit.b_factor:.0f} +- {fit.error:.0f} Å², fitted from {fit.from_A:g} to {fit.to_A:.1f} Å"
    if sharpened.b_factor == 0:
        return f"not sharpened: no fall-off beyond doubt ({fitted}); --b-factor sets one"
    return f"{applied}: what is beyond doubt of {fitted}"
