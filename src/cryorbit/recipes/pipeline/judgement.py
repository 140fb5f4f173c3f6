"""One verdict on all stages: the worst of theirs, with what is wrong said first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryorbit.recipes.abinit.verdict import Verdict
from cryorbit.recipes.particle_input import FEWEST
from cryorbit.recipes.pipeline.findings import Findings, RefinedClass
from cryorbit.recipes.refine.start import is_shown

LEVELS = ("good", "doubtful", "bad")
AGREED = "Independent random starts came to the same ab initio map."


def judge(found: Findings) -> Verdict:
    """Weigh the stages: agreement of random starts, what the images say of the start map, masks, directions.

    The sentences are those of the first class; of the others the reasons tell.
    """
    head, *others = found.classes
    first, last = found.first["verdict"], head.sharpened["verdict"]
    doubts = _start_doubts(head)
    level = max(first["level"], last["level"], "bad" if doubts else "good", key=LEVELS.index)
    warnings = [*([first["sentence"]] if first["level"] != "good" else []), *doubts]
    sentences = [*warnings, last["sentence"], *([] if warnings else [AGREED])]
    reasons = [
        *(f"ab initio: {reason}" for reason in first["reasons"]),
        *(f"refinement: {reason}" for reason in _about_refinement(head)),
        *(f"post-processing: {reason}" for reason in last["reasons"]),
        *(
            f"{other.name}: {' '.join([*_start_doubts(other), other.sharpened['verdict']['sentence']])}"
            for other in others
        ),
        *(f"class {number} has fewer than {FEWEST} particles and was not refined" for number in found.left_out),
    ]
    return Verdict(level, " ".join(sentences), reasons)


def _start_doubts(refined: RefinedClass) -> list[str]:
    """Sentences on a start map that the images do not show as it is."""
    start = _start(refined)
    doubts = []
    if start and not is_shown(start):
        doubts.append("Do not trust this map: the images fit the ab initio map no better than a random one.")
    if start and start.get("magnification", 1.0) != 1:
        doubts.append(f"The images fit the ab initio map better when it is magnified {start['magnification']:g} times.")
    return doubts


def _about_refinement(refined: RefinedClass) -> list[str]:
    only = refined.refined["classes"][0]
    reasons = [
        f"independent half-maps agree to {only['resolution_A']:.2f} A, within the mask to "
        f"{only['resolution_masked_A']:.2f} A (corrected for the mask)"
    ]
    if only["mask_too_tight"]:
        reasons.append("its mask makes a correlation of its own at that resolution: it is too tight")
    start = _start(refined)
    if start and is_shown(start):
        lead = start["lead_over_noise"]
        reasons.append(f"the images fit the ab initio map better than random ones by {lead:.1f} standard errors")
    return reasons


def _start(refined: RefinedClass) -> Mapping[str, Any]:
    """What the images said of the start map."""
    entries = refined.refined.get("start") or [{}]
    start: Mapping[str, Any] = entries[0]
    return start
