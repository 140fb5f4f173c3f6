"""How far a post-processed map can be trusted, in words."""

from __future__ import annotations

from cryorbit.evaluation.conical_fsc import ANISOTROPIC
from cryorbit.evaluation.corrected_fsc import COARSEST, LARGEST_BIAS, HalfMapFSC
from cryorbit.evaluation.half_map_frames import Misplacement
from cryorbit.evaluation.sharpening import FIT_FROM_A
from cryorbit.evaluation.view_sampling import BIASED
from cryorbit.inference.copies import SYMMETRIC
from cryorbit.recipes.abinit.verdict import Verdict
from cryorbit.recipes.limits import on_limit
from cryorbit.recipes.postprocess.findings import Findings, Sharpened

SHARED_POSES = "the half-maps share the poses of one ab initio map: the resolution is an upper bound"


def judge(found: Findings, shared_poses: bool) -> Verdict:
    """Weigh what the half-maps have in common, the mask, the half-maps' origin and the evenness of directions.

    Parameters
    ----------
    found
        What was computed.
    shared_poses
        Whether the poses of the two halves came from one map.
    """
    fsc, ratio = found.fsc, found.cones.area_ratio
    if found.misplaced is not None:
        return _about_frames(found.misplaced, found.pixel_size)
    if found.mask_outside:
        return _about_inverted_mask()
    if fsc.unrelated:
        return _about_strangers(fsc)
    uneven = found.cones.anisotropic or (found.sampling is not None and found.sampling.biased)
    reasons = [
        _about_mask(found),
        _about_sharpening(found.sharpened),
        f"by direction, the smallest area under the FSC is {ratio:.2f} of the largest (below {ANISOTROPIC:g}: uneven)",
    ]
    if found.sampling is not None:
        factor, unsampled = found.sampling.factor, found.sampling.unsampled
        reasons.append(
            f"sampling compensation factor of the views {factor:.2f} (below {BIASED:g}: uneven), "
            f"{unsampled:.0%} of the directions unsampled"
        )
    if shared_poses:
        reasons.append(SHARED_POSES)
    reasons += found.optics_doubts
    if found.symmetry is not None:
        name, agreement = found.symmetry
        reasons.append(f"under {name} the half-maps agree with turned copies of each other by {agreement:.2f} (1: all)")
    limit = on_limit(fsc, found.holds_to_A)
    sentence = f"Resolution {fsc.resolution():.2f} A (FSC 0.143 of half-maps, corrected for the mask)"
    ending = "." if limit is None else f". {limit}"
    if found.mask_given and fsc.mask_too_tight:
        return Verdict("bad", f"{sentence}; do not trust it: the mask is too tight{ending}", reasons)
    if found.symmetry is not None and found.symmetry[1] < SYMMETRIC:
        wrong = f"the map does not have {found.symmetry[0]} symmetry about its axes"
        return Verdict("doubtful", f"{sentence}; {wrong}{ending}", reasons)
    if uneven:
        return Verdict("doubtful", f"{sentence}; directions are uneven: it is worse in some of them{ending}", reasons)
    if found.optics_doubts:
        wrong = "optics that are not corrected for limit it: read the reasons"
        return Verdict("doubtful", f"{sentence}; {wrong}{ending}", reasons)
    return Verdict("doubtful" if shared_poses else "good", f"{sentence}{ending}", reasons)


def _about_frames(found: Misplacement, pixel_size: float) -> Verdict:
    """What to say of half-maps that are not in one frame."""
    shift = ", ".join(f"{pixel_size * step:.1f}" for step in found.shift_px)
    moved = f"shifted by ({shift}) A along x, y, z"
    if found.mirrored is not None:
        moved = f"mirrored along {found.mirrored}" + (f" and {moved}" if any(found.shift_px) else "")
    reason = f"the second half-map agrees much better with the first when it is {moved}"
    cause = "as one has the other hand" if found.mirrored is not None else "as they are not in one position"
    sentence = (
        f"Do not use this map: the half-maps do not belong together, {cause}. Fix: give both as one job wrote them."
    )
    return Verdict("bad", sentence, [reason])


def _about_inverted_mask() -> Verdict:
    reason = "the half-maps have more in common where the mask is 0, and the mask is 1 at the sides of the box"
    sentence = "Do not use this resolution: the mask covers what is outside the particle. Fix: give 1 minus this mask."
    return Verdict("bad", sentence, [reason])


def _about_strangers(fsc: HalfMapFSC) -> Verdict:
    """What to say of half-maps that are not two maps of one thing."""
    coarse = ", ".join(f"{float(value):.2f}" for value in fsc.unmasked[1 : COARSEST + 1])
    reasons = [f"correlation in the {COARSEST} coarsest shells: {coarse}"]
    if fsc.inverted:
        sentence = "Do not use this map: one half-map has the opposite contrast of the other (multiply it by -1)."
    else:
        sentence = (
            "Do not use this map: the half-maps have no signal in common. Check that both are of one job, "
            "unmasked and in the same position."
        )
    return Verdict("bad", sentence, reasons)


def _about_mask(found: Findings) -> str:
    bias = f"the mask alone makes a correlation of {max(found.fsc.mask_bias, 0):.3f} at this resolution"
    if not found.fsc.mask_too_tight:
        return f"{bias} (up to {LARGEST_BIAS:g} is harmless)"
    if found.mask_given:
        return f"{bias} (above {LARGEST_BIAS:g}): give a wider or softer mask, or leave --mask out"
    return f"{bias}, however soft its edge; it has been taken off"


def _about_sharpening(sharpened: Sharpened) -> str:
    applied, fit = f"B-factor {sharpened.b_factor:.0f} A^2", sharpened.fit
    if sharpened.given:
        return f"{applied}, as given"
    if fit is None:
        return f"not sharpened: a B-factor is fitted from {FIT_FROM_A:g} A on, where the half-maps hold too little"
    fitted = f"{fit.b_factor:.0f} +- {fit.error:.0f} A^2, fitted from {fit.from_A:g} to {fit.to_A:.1f} A"
    if sharpened.b_factor == 0:
        return f"not sharpened: no fall-off beyond doubt ({fitted}); --b-factor sets one"
    return f"{applied}: what is beyond doubt of {fitted}"
