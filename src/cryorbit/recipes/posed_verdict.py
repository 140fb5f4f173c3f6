"""Whether a map from known poses can be trusted: what its half-maps, its symmetry, its views and its table say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryorbit.core.verdict import Level, Remark, Verdict, weigh
from cryorbit.evaluation.half_map_frames import misplacement
from cryorbit.recipes.map_files import FinishedMap


@dataclass(frozen=True, slots=True)
class PosedEvidence:
    """What is known of a map from known poses.

    Attributes
    ----------
    finished
        The map and its half-maps.
    mask_supplied
        Whether the mask is the user's.
    asymmetric, uneven
        Sentences on a symmetry that the particles do not have, and on uneven views; empty where there is nothing.
    doubts
        Of the half-sets, the optics and the images, at the resolution of the map.
    halves
        Where the half-sets come from, a sentence.
    """

    finished: FinishedMap
    mask_supplied: bool
    asymmetric: Sequence[str]
    uneven: Sequence[str]
    doubts: Sequence[str]
    halves: str


def judge(evidence: PosedEvidence) -> Verdict:
    """The worst of what is to be said; what is wrong comes first."""
    masked = evidence.finished.fsc.resolution()

    def sentence(level: Level, problem: str) -> str:
        agree = f"Half-maps agree to {masked:.2f} Å (FSC 0.143, within the mask)"
        return {
            "good": f"{agree}.",
            "doubtful": f"{agree}, but {problem}.",
            "bad": f"Do not trust this map: {problem}.",
        }[level]

    remarks = [
        *(Remark("bad", f"t{said.partition(':')[0][1:]}", said) for said in evidence.asymmetric),
        _about_halves(evidence.finished),
        *_about_mask(evidence),
        *(Remark("doubtful", "views are uneven, so that it is worse in some directions", s) for s in evidence.uneven),
        *map(Remark.doubt, evidence.doubts),
        Remark("good", "", evidence.halves),
    ]
    return weigh(remarks, sentence)


def _about_halves(finished: FinishedMap) -> Remark:
    """Whether the half-maps are two maps of one thing, in one place."""
    agreed = (
        f"the half-maps agree to {finished.resolution_A:.2f} Å, within the mask to {finished.fsc.resolution():.2f} Å"
    )
    if misplacement(*finished.halves) is not None:
        wrong = "the half-maps are not in one position, or of two hands: the poses of the half-sets are of two maps"
        return Remark("bad", wrong, f"{wrong}; fix: give poses of one refinement, or each half-set by itself")
    if finished.fsc.unrelated:
        wrong = "the half-maps have no signal in common: the poses are not those of the images"
        return Remark("bad", wrong, f"{wrong}; fix: give the table that the refinement wrote, with its stacks")
    return Remark("good", "", agreed)


def _about_mask(evidence: PosedEvidence) -> Iterator[Remark]:
    """Whether the user's mask makes correlation of its own."""
    if evidence.mask_supplied and evidence.finished.fsc.mask_too_tight:
        wrong = "the mask is too tight"
        reason = f"{wrong}: it makes a correlation of its own at this resolution; fix: a wider or softer mask, or none"
        yield Remark("doubtful", wrong, reason)
