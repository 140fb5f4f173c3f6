"""How far a post-processed map can be trusted, in words."""

from __future__ import annotations

from cryorbit.evaluation.conical_fsc import ANISOTROPIC
from cryorbit.evaluation.corrected_fsc import LARGEST_BIAS, HalfMapFSC
from cryorbit.evaluation.sharpening import FEWEST_SHELLS
from cryorbit.evaluation.view_sampling import BIASED
from cryorbit.recipes.abinit.verdict import Verdict
from cryorbit.recipes.postprocess.findings import Findings, Sharpened

SHARED_POSES = "the half-maps share the poses of one ab initio map: the resolution is an upper bound"


def judge(found: Findings, shared_poses: bool) -> Verdict:
    """Weigh the mask, the half-maps' origin and the evenness of directions.

    Parameters
    ----------
    found
        What was computed.
    shared_poses
        Whether the poses of the two halves came from one map.
    """
    fsc, ratio = found.fsc, found.cones.area_ratio
    uneven = found.cones.anisotropic or (found.sampling is not None and found.sampling.biased)
    reasons = [
        _about_mask(fsc),
        _about_sharpening(found.sharpened),
        f"by direction, the smallest area under the FSC is {ratio:.2f} of the largest (below {ANISOTROPIC:g}: uneven)",
    ]
    if found.sampling is not None:
        factor, unsampled = found.sampling.factor, found.sampling.unsampled
        reasons.append(
            f"sampling compensation factor of the views {factor:.2f} (below {BIASED:g}: uneven), "
            f"{unsampled:.0%} of the directions unsampled"
        )
    if _reaches_nyquist(fsc):
        reasons.append("the half-maps agree up to the Nyquist frequency: the pixel size limits the resolution")
    if shared_poses:
        reasons.append(SHARED_POSES)
    sentence = f"Resolution {fsc.resolution():.2f} A (FSC 0.143 of half-maps, corrected for the mask)"
    if fsc.mask_too_tight:
        return Verdict("bad", f"{sentence}; do not trust it: the mask is too tight.", reasons)
    if uneven:
        return Verdict("doubtful", f"{sentence}; directions are uneven: it is worse in some of them.", reasons)
    return Verdict("doubtful" if shared_poses else "good", f"{sentence}.", reasons)


def _about_mask(fsc: HalfMapFSC) -> str:
    bias = f"the mask alone makes a correlation of {max(fsc.mask_bias, 0):.3f} at this resolution"
    if fsc.mask_too_tight:
        return f"{bias} (above {LARGEST_BIAS:g}): give a wider or softer mask, or leave --mask out"
    return f"{bias} (up to {LARGEST_BIAS:g} is harmless)"


def _about_sharpening(sharpened: Sharpened) -> str:
    if sharpened.given:
        return f"B-factor {sharpened.b_factor:.0f} A^2, as given"
    if sharpened.fit is None:
        return f"not sharpened: fewer than {FEWEST_SHELLS} shells for a B-factor; give one with --b-factor"
    return f"B-factor {sharpened.b_factor:.0f} A^2, fitted from {sharpened.fit.from_A:g} to {sharpened.fit.to_A:.1f} A"


def _reaches_nyquist(fsc: HalfMapFSC) -> bool:
    return bool((fsc.corrected[1:] >= 0.143).all())
