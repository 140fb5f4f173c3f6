"""One verdict on all stages: the worst of theirs, with what is wrong said first."""

from __future__ import annotations

from cryorbit.core.verdict import Verdict, worst
from cryorbit.io.checks import FEWEST
from cryorbit.recipes.pipeline.finished_stages import FinishedStages, RefinedClass


def judge(stages: FinishedStages) -> Verdict:
    """Weigh the stages: what the first map rests on, what refinement and post-processing say of their maps.

    The sentences are those of the first class; of the others the reasons tell.
    """
    head, *others = stages.classes
    first, middle, last = stages.first.verdict, head.refined.verdict, head.sharpened.verdict
    warnings = [each.sentence for each in (first, middle) if each.level != "good"]
    sentences = [*warnings, last.sentence, *([] if warnings else [stages.began.agreed])]
    reasons = (
        *(f"{stages.began.reason}: {reason}" for reason in first.reasons),
        *(f"refinement: {reason}" for reason in middle.reasons),
        *(f"post-processing: {reason}" for reason in last.reasons),
        *(f"{other.name}: {_in_short(other)}" for other in others),
        *(f"class {number} has fewer than {FEWEST} particles and was not refined" for number in stages.left_out),
    )
    return Verdict(worst(each.level for each in (first, middle, last)), " ".join(sentences), reasons)


def _in_short(other: RefinedClass) -> str:
    """What is said of a class beside the first."""
    refined, sharpened = other.refined.verdict, other.sharpened.verdict
    return " ".join([*([refined.sentence] if refined.level != "good" else []), sharpened.sentence])
