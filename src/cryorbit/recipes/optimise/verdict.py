"""Whether the map of an optimisation can be trusted: what held-out particles say of it, and what nothing has tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryorbit.core.verdict import Level, Remark, Verdict, weigh
from cryorbit.recipes.optimise.course import HeldOutPoint


def judge(course: Sequence[HeldOutPoint], scored_to_A: float, *, random_start: bool, doubts: Sequence[str]) -> Verdict:
    """The worst of what is to be said; what is wrong comes first, each with what to do about it.

    Parameters
    ----------
    course
        From the start to the end.
    scored_to_A
        Finest detail that was scored, A.
    random_start
        Whether no start map was given.
    doubts
        Of the half-sets, the optics and the images.
    """
    gain = -course[-1].held_out

    def sentence(level: Level, problem: str) -> str:
        fits = (
            f"Held-out particles fit this map better than pure noise by {gain:.1f} nats, scored to {scored_to_A:.1f} Å"
        )
        return {
            "good": f"{fits}.",
            "doubtful": f"{fits}, but {problem}.",
            "bad": f"Do not trust this map: {problem}.",
        }[level]

    remarks = [*_about_fit(course[0].held_out, course[-1].held_out)]
    if random_start:
        wrong = "one random start cannot show whether its map is right"
        fix = "another --seed, and `cryorbit compare` of the maps; `cryorbit abinit --seeds 3` does so by itself"
        remarks.append(Remark("doubtful", wrong, f"{wrong}; fix: {fix}"))
    remarks += map(Remark.doubt, doubts)
    return weigh(remarks, sentence)


def _about_fit(start: float, end: float) -> Iterator[Remark]:
    """What held-out particles say, by their mean negative log-likelihoods relative to pure noise, nats."""
    fit = f"held-out particles fit it better than pure noise by {-end:.1f} nats on average ({-start:.1f} at the start)"
    if not end < 0:
        wrong = "held-out particles fit it no better than pure noise"
        yield Remark("bad", wrong, f"{wrong} ({-end:.1f} nats); fix: more epochs, a smaller step, or another method")
    elif end > start:
        wrong = "held-out particles fitted its start better"
        yield Remark("doubtful", wrong, f"{fit}; fix: a smaller step, or another method")
    else:
        yield Remark("good", "", fit)
