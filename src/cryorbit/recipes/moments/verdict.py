"""Whether a map from moments can be trusted: what halves, starts, misfits and another map say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryorbit.core.verdict import Level, Remark, Verdict, weigh
from cryorbit.io.job_result import ComparedMap
from cryorbit.moments.determinacy import Determinacy

GOOD, DOUBTFUL = 1.6, 3.0
"""Resolution of an agreement, over the finest detail of the map, up to which the agreement is good, or doubtful."""
LARGEST_MISFIT = 3.0
"""Misfit, in standard errors, from which the model does not hold."""
EVEN = 0.3
"""Standard deviation of the density, over its mean, below which views count as even."""
FREE = "The hand is not determined by images, and the density of views but for opposite views."


@dataclass(frozen=True, slots=True)
class MomentEvidence:
    """What a verdict rests on; see `cryorbit.recipes.moments.outputs.MomentsResult`.

    Attributes
    ----------
    resolution_A, finest_A
        Where the maps of both halves correlate by 0.5, and detail up to which the map was made, A.
    misfit
        Root mean square difference of fitted from estimated moments, in standard errors.
    density_spread
        Standard deviation of the density of views, over its mean.
    determinacy
        How many combinations of the map's coefficients the moments determine.
    agreeing_starts, starts
        Random starts whose fits of the inner rings agree with the map, and all of them.
    compared
        Agreement with another map, or None.
    doubts
        Of the particles, a sentence each.
    """

    resolution_A: float  # noqa: N815 (units belong to the name)
    finest_A: float  # noqa: N815
    misfit: float
    density_spread: float
    determinacy: Determinacy
    agreeing_starts: int
    starts: int
    compared: ComparedMap | None = None
    doubts: Sequence[str] = ()

    @property
    def agreement(self) -> Level:
        """Level of the agreement of the halves."""
        return level_of(self.resolution_A, self.finest_A)


def level_of(resolution_A: float, finest_A: float) -> Level:
    """Level of an agreement to a resolution of maps whose finest detail is known, both in A."""
    parts = resolution_A / finest_A
    return "good" if parts < GOOD else "doubtful" if parts < DOUBTFUL else "bad"


def judge(evidence: MomentEvidence) -> Verdict:
    """How far the map is to be trusted, and why."""
    remarks = [
        *_about_halves(evidence),
        *_about_fits(evidence),
        *_about_comparison(evidence),
        *(Remark("doubtful", "there is a doubt: read the reasons first", doubt) for doubt in evidence.doubts),
        Remark("good", "", FREE),
    ]

    def sentence(level: Level, problem: str) -> str:
        to = f"to about {evidence.resolution_A:.0f} Å at best"
        if level == "bad":
            return f"Do not rely on this map: {problem}."
        if evidence.agreement == "doubtful":
            return f"The moments determine only the coarse form, {to}."
        return f"The moments determine this map, {to}{f', but {problem}' if problem else ''}."

    return weigh(remarks, sentence)


def _about_halves(evidence: MomentEvidence) -> Iterator[Remark]:
    """What the maps of both halves of the particles have in common."""
    yield Remark(
        evidence.agreement,
        "the two halves of the particles lead to different maps" if evidence.agreement == "bad" else "",
        "Maps of two halves of the particles, each from its own random starts, agree to "
        f"{evidence.resolution_A:.0f} Å (FSC 0.5); nothing finer than {evidence.finest_A:.0f} Å was fitted. "
        "What the model lacks is the same in both, so the true map may differ more.",
    )


def _about_fits(evidence: MomentEvidence) -> Iterator[Remark]:
    """Whether the moments of the map are those of the images, and how much they determine."""
    difference = f"Fitted moments differ from those of the images by {evidence.misfit:.1f} standard errors"
    if evidence.misfit < LARGEST_MISFIT:
        yield Remark("good", "", f"{difference}.")
    else:
        wrong = "what was assumed of the images (one structure, CTFs, noise) does not hold"
        yield Remark("bad", wrong, f"{difference}: {wrong}.")
    yield Remark(
        "good",
        "",
        f"{evidence.agreeing_starts} of {evidence.starts} fits of the inner rings, each from a random start, agree "
        f"with this map to {GOOD * evidence.finest_A:.0f} Å (FSC 0.5).",
    )
    known = evidence.determinacy
    yield Remark(
        "good",
        "",
        f"At this noise the moments determine {known.all_moments} of {known.coefficients} combinations of the map's "
        f"coefficients to better than their expected size, {known.first_and_second} of them without third moments.",
    )
    if evidence.density_spread < EVEN:
        yield Remark(
            "good",
            "",
            "Views are nearly even, so first and second moments do not determine how the degrees of the volume are "
            "rotated to each other: the map rests on third moments, which are the noisiest.",
        )


def _about_comparison(evidence: MomentEvidence) -> Iterator[Remark]:
    """Whether the map is the one that it was compared with."""
    other = evidence.compared
    if other is None:
        return
    level = level_of(other.resolution_fsc05_A, evidence.finest_A)
    hand = ", once mirrored" if other.hand_flipped else ""
    agreement = (
        f"{other.map} and this map agree to {other.resolution_fsc05_A:.0f} Å (FSC 0.5, correlation "
        f"{other.correlation:.2f}){hand}"
    )
    if level == "good":
        yield Remark(level, "", f"{agreement}.")
    else:
        wrong = f"it differs from {other.map}"
        yield Remark(level, wrong, f"{agreement}: at least one of the two is wrong.")
